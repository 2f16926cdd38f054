"""The part of Celery that takes messages, so that it outlives its broker."""

from celery.worker import consumer, state


class Consumer(consumer.Consumer):  # type: ignore[misc]  # Celery ships no types
    """Takes messages, and takes them again once a broker that was gone is back."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of the messages in hand together with the connection; Celery then connects anew.

        It would give them back by the connection that is lost, and acknowledge them by it when their tasks end. Redis's
        part of kombu (5.7) fails at both, in a way that ends the worker. Nobody needs it: the work itself goes on, and
        the database knows of it.
        """
        for channel in getattr(self.connection.transport, "channels", None) or ():
            channel.do_restore = False
        for request in tuple(state.active_requests):
            request.acknowledged = True
        super().on_connection_error_after_connected(exc)
