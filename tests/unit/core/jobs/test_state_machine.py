"""Workers, the sweeper and people at the same jobs, in any order: driven by hypothesis, against a simple model."""

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from core import jobs
from core.errors import StateError
from core.jobs import JobLimits, NewPhoto
from core.jobs.states import JOB_TRANSITIONS, PHOTO_TRANSITIONS
from core.records import FINAL_JOB_STATES, Job, JobEvent, JobState, Photo, PhotoState, User

LIMITS = JobLimits(chunks_in_flight=2, lease_s=1000, resend_after_s=0, max_deaths=3)
CHUNKS = {"large": (3, 2, 2, 1), "small": (1,), "broken": (2,)}
OWNERS = {"large": "ada", "small": "bob", "broken": "ada"}
BROKEN = "broken"
"""Whoever unpacks the rest of it dies."""
WORKERS = ("w1", "w2", "w3")
RESULT = jobs.PhotoResult("", 1, "0" * 64, "image/jpeg", "v-test", "test", 0.5, "", (), 0.0, 0.0, 9.0)
OVER = (PhotoState.DONE, PhotoState.FAILED, PhotoState.SKIPPED, PhotoState.CANCELED)

job_names = st.sampled_from(sorted(CHUNKS))
workers = st.sampled_from(WORKERS)


class Engine(RuleBasedStateMachine):
    """The model: each photo's state and epoch, each job's wish of a person, what each worker has in hand."""

    def __init__(self, database):
        super().__init__()
        self.database = database
        self.photos = {}
        self.committed = Counter()
        self.messages = []
        self.hands = {}
        self.late = []
        self.born_failed = set()
        self.incarnation = Counter()

    @initialize()
    def submit(self):
        with self.database.write() as session:
            session.execute(delete(Job))
            session.merge(User(id="bob", name="bob"))
        for job_id, chunks in CHUNKS.items():
            with self.database.write() as session:
                upload = (job_id, f"jobs/{job_id}/uploads/0", 1)
                facts = {"owner_id": OWNERS[job_id], "name": job_id, "model_version": "v-test", "express": False}
                jobs.submit(session, job_id=job_id, uploads=[upload], **facts)
                claim = jobs.claim_ingest(session, job_id, "intake", LIMITS)
                position = 0
                for count in chunks:
                    new = [NewPhoto(position + k, f"{position + k}.jpg", original_key="o") for k in range(count)]
                    self.messages += jobs.add_photos(session, claim, new, LIMITS)
                    self.photos |= {photo.id: (PhotoState.PENDING, 0) for photo in new}
                    position += count
                if job_id == BROKEN:
                    jobs.free_leases(session, "intake")
                else:
                    jobs.finish_ingest(session, claim)

    def name(self, worker):
        return f"{worker}-{self.incarnation[worker]}"

    def of_job(self, job_id):
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    @rule(worker=workers, index=st.integers(0, 9))
    def claim(self, worker, index):
        if self.messages and worker not in self.hands:
            self.take(worker, self.messages.pop(index % len(self.messages)))

    def take(self, worker, hint):
        if hint.chunk is None:
            with self.database.write() as session:
                jobs.claim_ingest(session, hint.job_id, "intake", LIMITS)
                jobs.free_leases(session, "intake")
            return
        with self.database.write() as session:
            work = jobs.claim_next(session, hint.job_id, hint.chunk, self.name(worker), LIMITS)
        if work is None:
            return
        assert self.of_job(work.job_id).state == JobState.RUNNING
        for claim in work.claims:
            state, epoch = self.photos[claim.id]
            assert (state, claim.epoch) == (PhotoState.PENDING, epoch + 1)
            self.photos[claim.id] = (PhotoState.RUNNING, claim.epoch)
        self.hands[worker] = (work, list(work.claims))

    @rule(worker=workers, outcome=st.sampled_from(("done", "failed", "skipped")), twice=st.booleans())
    def commit(self, worker, outcome, twice):
        if worker in self.hands and self.hands[worker][1]:
            claim = self.hands[worker][1].pop()
            for _ in range(1 + twice):
                assert self.write(claim, outcome)
            self.photos[claim.id] = (PhotoState(outcome), claim.epoch)
            self.committed[claim.id, claim.epoch] += 1

    def write(self, claim, outcome):
        with self.database.write() as session:
            if outcome == "done":
                return jobs.finish_photo(session, claim, replace(RESULT, result_key=f"{claim.id}-{claim.epoch}"))
            if outcome == "failed":
                return jobs.fail_photo(session, claim, "truncated_image", "cut off")
            return jobs.skip_photo(session, claim, "already_color", "in color")

    @rule(worker=workers)
    def end_chunk(self, worker):
        if worker in self.hands and not self.hands[worker][1]:
            work, _ = self.hands.pop(worker)
            with self.database.write() as session:
                self.messages += jobs.finish_chunk(session, work.job_id, work.number, LIMITS)

    @rule(worker=workers, trouble=st.booleans())
    def look_up(self, worker, trouble):
        """Between two photos a worker looks whether the job goes on, and lays the rest down if not, or in trouble."""
        if worker in self.hands:
            work, claims = self.hands[worker]
            with self.database.write() as session:
                if not (trouble or jobs.is_stopping(session, work.job_id)):
                    return
                jobs.release_photos(session, claims)
            canceling = self.of_job(work.job_id).state == JobState.CANCELING
            for claim in claims:
                self.photos[claim.id] = (PhotoState.CANCELED if canceling else PhotoState.PENDING, claim.epoch)
            claims.clear()

    @rule(worker=workers)
    def die(self, worker):
        if worker in self.hands:
            _, claims = self.hands.pop(worker)
            with self.database.write() as session:
                freed = jobs.free_leases(session, self.name(worker))
            assert freed == len(claims)
            self.late += claims
            self.incarnation[worker] += 1

    @rule(index=st.integers(0, 20), outcome=st.sampled_from(("done", "failed", "skipped")))
    def come_late(self, index, outcome):
        """A worker that was held to be dead comes back; until somebody took back what it held, it still may write."""
        if self.late:
            claim = self.late.pop(index % len(self.late))
            still_its = self.photos[claim.id] == (PhotoState.RUNNING, claim.epoch)
            assert self.write(claim, outcome) == still_its
            if still_its:
                self.photos[claim.id] = (PhotoState(outcome), claim.epoch)
                self.committed[claim.id, claim.epoch] += 1

    @rule()
    def sweep(self):
        with self.database.write() as session:
            self.messages += jobs.sweep(session, LIMITS).hints
            found = {photo.id: photo for photo in session.scalars(select(Photo))}
        for id_ in found.keys() - self.photos.keys():
            assert (found[id_].job_id, found[id_].state, found[id_].code) == (BROKEN, PhotoState.FAILED, "worker_died")
            self.photos[id_] = (PhotoState.FAILED, 0)
            self.born_failed.add(id_)
        in_hand = {claim.id for _, claims in self.hands.values() for claim in claims}
        for id_, (state, epoch) in self.photos.items():
            photo = found[id_]
            if state == PhotoState.RUNNING and id_ not in in_hand:
                condemned = photo.state == PhotoState.FAILED
                assert not condemned or (photo.code, photo.deaths) == ("worker_died", LIMITS.max_deaths)
                assert condemned or photo.state in (PhotoState.PENDING, PhotoState.CANCELED)
                self.photos[id_] = (PhotoState(photo.state), epoch)

    @rule(index=st.integers(0, 9), fate=st.sampled_from(("lost", "doubled")))
    def trouble_messages(self, index, fate):
        if self.messages:
            hint = self.messages.pop(index % len(self.messages))
            self.messages += [hint, hint] if fate == "doubled" else []

    @rule(job_id=job_names, wish=st.sampled_from(("pause", "resume", "resume", "retry", "retry", "room")))
    def wish(self, job_id, wish):
        refused = ""
        with self.database.write() as session:
            try:
                if wish == "pause":
                    jobs.pause(session, job_id, "user:x")
                elif wish == "room":
                    jobs.pause_for_room(session, job_id, "full")
                    self.messages += jobs.resume_paused_for_room(session, LIMITS)
                elif wish == "resume":
                    self.messages += jobs.resume(session, job_id, "user:x", LIMITS)[1]
                else:
                    self.retry(session, job_id)
            except StateError as error:
                refused = error.code
        assert refused in ("", "already_over", "illegal_transition", "not_paused", "not_over", "nothing_to_retry")

    def retry(self, session, job_id):
        self.messages += jobs.retry_failed(session, job_id, "user:x", LIMITS)[1]
        for photo in session.scalars(select(Photo).where(Photo.job_id == job_id)):
            if self.photos[photo.id][0] == PhotoState.FAILED and photo.id not in self.born_failed:
                self.photos[photo.id] = (PhotoState.PENDING, self.photos[photo.id][1])

    @rule(job_id=job_names, sure=st.integers(0, 9))
    def cancel(self, job_id, sure):
        if sure == 0 and self.of_job(job_id).state not in FINAL_JOB_STATES:
            with self.database.write() as session:
                jobs.cancel(session, job_id)
                mine = session.scalars(select(Photo.id).where(Photo.job_id == job_id)).all()
            for id_ in mine:
                if self.photos[id_][0] == PhotoState.PENDING:
                    self.photos[id_] = (PhotoState.CANCELED, self.photos[id_][1])

    @invariant()
    def as_the_model_says(self):
        with self.database.read() as session:
            photos = {photo.id: photo for photo in session.scalars(select(Photo))}
            states = {job.id: job.state for job in session.scalars(select(Job))}
        assert {id_: (photo.state, photo.epoch) for id_, photo in photos.items()} == self.photos
        for job_id, state in states.items():
            if state in FINAL_JOB_STATES:
                assert all(photo.state in OVER for photo in photos.values() if photo.job_id == job_id)
        assert all(count == 1 for count in self.committed.values())

    def teardown(self):
        if self.photos:
            self.drain()
            self.replay()

    def drain(self):
        """Whatever happened: once workers live and nobody meddles, all that is left is done, all hints lost or not."""
        for worker in list(self.hands):
            self.die(worker)
        self.messages.clear()
        for job_id in CHUNKS:
            if self.of_job(job_id).state == JobState.PAUSED:
                self.wish(job_id, "resume")
        for _ in range(60):
            self.sweep()
            self.as_the_model_says()
            if all(self.of_job(job_id).state in FINAL_JOB_STATES for job_id in CHUNKS):
                return
            while self.messages:
                self.claim("w1", 0)
                while "w1" in self.hands:
                    self.commit("w1", "done", twice=False)
                    if not self.hands["w1"][1]:
                        self.end_chunk("w1")
        raise AssertionError("jobs are left open")

    def replay(self):
        """The log alone tells the same story, and no step of it is one that may not be."""
        with self.database.read() as session:
            events = session.scalars(select(JobEvent).order_by(JobEvent.id)).all()
            jobs_now = {job.id: job.state for job in session.scalars(select(Job))}
        states = {}
        for event in events:
            key = event.photo_id or event.job_id
            before = states.get(key, PhotoState.PENDING if event.photo_id else "")
            assert event.from_state == before
            kind, legal = (PhotoState, PHOTO_TRANSITIONS) if event.photo_id else (JobState, JOB_TRANSITIONS)
            assert not before or kind(event.to_state) in legal[kind(before)]
            states[key] = event.to_state
        assert {job_id: states[job_id] for job_id in CHUNKS} == jobs_now
        now = {id_: state for id_, (state, _) in self.photos.items()}
        born = {id_: PhotoState.FAILED if id_ in self.born_failed else PhotoState.PENDING for id_ in now}
        assert {id_: states.get(id_, born[id_]) for id_ in now} == now


def test_any_interleaving_of_workers_sweeper_and_people_ends_as_the_model_says(database):
    quick = settings(
        max_examples=15,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
    run_state_machine_as_test(lambda: Engine(database), settings=quick)
