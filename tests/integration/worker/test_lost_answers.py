"""The database loses the answer to every change: each is made once all the same."""

from collections import Counter

from sqlalchemy import select

from core.records import Job, JobEvent, JobState, Photo, PhotoState
from worker import handlers


def test_unpacking_and_colorizing_happen_once(
    distant, submit_to, workshop, colorizer, gray_jpegs, make_zip, monkeypatch
):
    context, proxy = distant
    names = [f"{number}.jpg" for number in range(5)]
    submit_to(context, [("box.zip", make_zip(dict.fromkeys(names, gray_jpegs["coffee"])))])
    passes = []
    colorize = colorizer.colorize
    monkeypatch.setattr(colorizer, "colorize", lambda *arguments: passes.append(1) or colorize(*arguments))

    proxy.lose_every_other_answer()
    handlers.ingest(context, "job")
    unpacked = proxy.lost
    for number in range(2):
        handlers.colorize_chunk(context, workshop, "job", number)

    with context.database.read() as session:
        job = session.get_one(Job, "job")
        photos = session.scalars(select(Photo).order_by(Photo.position)).all()
        events = Counter(session.scalars(select(JobEvent.to_state).where(JobEvent.photo_id.is_not(None))))
    assert job.state == JobState.COMPLETED
    assert [(photo.path, photo.state, photo.deaths) for photo in photos] == [
        (name, PhotoState.DONE, 0) for name in names
    ]
    assert len(passes) == 5
    assert events["done"] == 5
    # The claim, two chunks and the end; then two claims, five outcomes and two ends.
    assert unpacked == 4
    assert proxy.lost - unpacked == 9
    assert list(context.storage.list("jobs/job/uploads/")) == []
    assert all(context.storage.exists(photo.result_key) for photo in photos)
