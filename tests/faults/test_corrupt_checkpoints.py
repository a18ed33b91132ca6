"""Checkpoints of a real training, broken in every way: it goes on from an earlier state, or says why it does not."""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import pickle
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from factories import make_search_config_tiny

from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import SearchError
from medarts_ops.individual import TrainedIndividual
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.observers import EpochFinished, SearchEvent
from medarts_ops.populations import random_individual
from medarts_ops.search import resume_search, run_search
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import FilesHere, Workplace

CONFIG = make_search_config_tiny()
RUNTIME = Runtime.from_config(CONFIG.runtime)
TENSORS = StageTensors.place(prepare_search_data(CONFIG).stages[0], RUNTIME)
TASK = TrainingTask(
    individuals=(random_individual(CONFIG, 0), random_individual(CONFIG, 1)),
    stage=CONFIG.stages[0].model_copy(update={"epochs": 3}),
    config=CONFIG,
    stage_data="unused",
)
NAME = "init-00.pt"


class Whole(NamedTuple):
    """Undisturbed: the two checkpoint files after epoch 2, the state after each epoch, and what came of it all."""

    newest: bytes
    previous: bytes
    states: list[str]
    outcomes: list[Any]

    @property
    def header(self) -> bytes:
        return self.newest.partition(b"\n")[0] + b"\n"

    @property
    def payload(self) -> bytes:
        return self.newest.partition(b"\n")[2]


def fresh() -> SearchTraining:
    return SearchTraining(TASK, TENSORS, RUNTIME)


def fingerprint(value: Any) -> str:
    """Tells states apart by every bit."""
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return repr([(key, fingerprint(each)) for key, each in value.items()])
    if isinstance(value, list | tuple):
        return repr([fingerprint(each) for each in value])
    return repr(value)


def ended(checkpoint: Path | None) -> list[Any]:
    """Train to the end, and what came of it without what was measured in seconds."""
    task = TASK.model_copy(update={"checkpoint": None if checkpoint is None else str(checkpoint)})
    outcomes = list(carry_out(task, Workplace(RUNTIME, TENSORS, task.stage_data), lambda who, record: None))
    assert all(isinstance(outcome, TrainedIndividual) for outcome in outcomes)
    return [without_seconds(outcome.model_dump(mode="json")) for outcome in outcomes]


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second", "search_id")
        return {key: without_seconds(each) for key, each in value.items() if key not in timed}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    path = tmp_path_factory.mktemp("whole") / NAME
    RUNTIME.apply_to_process()
    training, checkpoint = fresh(), TrainingCheckpoint(FilesHere(), str(path), TASK.identity)
    states = [fingerprint(training.state())]
    for epoch in range(2):
        training.run_epoch(epoch)
        checkpoint.save(training, epoch + 1)
        states.append(fingerprint(training.state()))
    return Whole(path.read_bytes(), path.with_name(f"{NAME}.previous").read_bytes(), states, ended(None))


@pytest.fixture
def path(tmp_path: Path, whole: Whole) -> Path:
    """The checkpoint after two epochs; the one after the first is beside it."""
    (tmp_path / NAME).write_bytes(whole.newest)
    (tmp_path / f"{NAME}.previous").write_bytes(whole.previous)
    return tmp_path / NAME


def restored(path: Path) -> tuple[int, str]:
    training = fresh()
    return TrainingCheckpoint(FilesHere(), str(path), TASK.identity).restore(training), fingerprint(training.state())


def assert_previous_is_used(path: Path, whole: Whole, caplog: pytest.LogCaptureFixture, why: str) -> None:
    with caplog.at_level(logging.WARNING):
        assert restored(path) == (1, whole.states[1])
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    message = record.getMessage()
    assert f"{path} " in message and why in message
    assert "\n" not in message


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(SearchError, match=words) as caught:
        restored(path)
    message = str(caught.value)
    assert repr(str(path)) in message and "resume with the release" in message and "delete the file" in message
    assert "\n" not in message and len(message) < 1000


def signed(payload: bytes, version: int = 1) -> bytes:
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"medarts-checkpoint %d %s %d\n" % (version, digest, len(payload)) + payload


def test_an_unbroken_one_is_restored_bit_for_bit(path: Path, whole: Whole) -> None:
    assert restored(path) == (2, whole.states[2])
    assert ended(path) == whole.outcomes


# The header


def headers() -> Iterator[tuple[str, Callable[[bytes, bytes, bytes], bytes]]]:
    """Headers that are wrong in one field, made of the right magic, digest and length."""
    for name, magic in {
        "other": b"another-checkpoint",
        "none": b"",
        "capitals": b"MEDARTS-CHECKPOINT",
        "not ascii": "médarts-checkpoint".encode(),
        "byte order mark": b"\xef\xbb\xbfmedarts-checkpoint",
        "nul": b"medarts-checkpoint\0",
        "cut": b"medarts-checkpoin",
        "journal": b"medarts-journal",
    }.items():
        yield f"magic-{name}", lambda right, digest, length, magic=magic: b"%s 1 %s %s\n" % (magic, digest, length)
    for version in (
        b"",
        b"0",
        b"-1",
        b"-2",
        b"1.0",
        b"one",
        b"+1",
        b"\xb2",
        "²".encode(),
        b"1_0",
        b"0x2",
        b"1e9",
        b"\0",
    ):
        yield (
            f"version-{version!r}",
            lambda magic, digest, length, version=version: b"%s %s %s %s\n" % (magic, version, digest, length),
        )
    for name, change in {
        "none": lambda digest: b"",
        "zeros": lambda digest: b"0" * 64,
        "capitals": lambda digest: b"A" + digest.upper()[1:],
        "short": lambda digest: digest[:-1],
        "long": lambda digest: digest + b"0",
        "other": lambda digest: hashlib.sha256(digest).hexdigest().encode(),
        "md5": lambda digest: digest[:32],
        "not ascii": lambda digest: "é".encode() * 32,
    }.items():
        yield (
            f"digest-{name}",
            lambda magic, digest, length, change=change: b"%s 1 %s %s\n" % (magic, change(digest), length),
        )
    for name, change in {
        "none": lambda length: b"",
        "nought": lambda length: b"0",
        "negative": lambda length: b"-" + length,
        "minus one": lambda length: b"-1",
        "one less": lambda length: b"%d" % (int(length) - 1),
        "one more": lambda length: b"%d" % (int(length) + 1),
        "double": lambda length: b"%d" % (int(length) * 2),
        "2**40": lambda length: b"%d" % 2**40,
        "2**63": lambda length: b"%d" % 2**63,
        "ninety digits": lambda length: b"9" * 90,
        "five thousand digits": lambda length: b"9" * 5000,
        "plus": lambda length: b"+" + length,
        "nought before": lambda length: b"0" + length,
        "fraction": lambda length: length + b".0",
        "exponent": lambda length: b"1e5",
        "word": lambda length: b"all",
        "not ascii": lambda length: "٣".encode() * 3,
        "return": lambda length: length + b"\r",
        "space": lambda length: length + b" ",
    }.items():
        yield (
            f"length-{name}",
            lambda magic, digest, length, change=change: b"%s 1 %s %s\n" % (magic, digest, change(length)),
        )
    yield "without magic", lambda magic, digest, length: b"1 %s %s\n" % (digest, length)
    yield "without version", lambda magic, digest, length: b"%s %s %s\n" % (magic, digest, length)
    yield "without digest", lambda magic, digest, length: b"%s 1 %s\n" % (magic, length)
    yield "without length", lambda magic, digest, length: b"%s 1 %s\n" % (magic, digest)
    yield "without line end", lambda magic, digest, length: b"%s 1 %s %s" % (magic, digest, length)
    yield "with tabs", lambda magic, digest, length: b"%s\t1\t%s\t%s\n" % (magic, digest, length)
    yield "with a word more", lambda magic, digest, length: b"%s 1 %s %s more\n" % (magic, digest, length)
    yield "twice", lambda magic, digest, length: b"%s 1 %s %s\n" % (magic, digest, length) * 2
    yield "after an empty line", lambda magic, digest, length: b"\n%s 1 %s %s\n" % (magic, digest, length)
    yield "endless", lambda magic, digest, length: b"medarts-checkpoint" * 100_000


HEADERS = dict(headers())


@pytest.mark.parametrize("name", HEADERS)
def test_a_wrong_header_is_named_and_the_previous_used(path, whole, caplog, name):
    magic, _, digest, length = whole.header.split()
    path.write_bytes(HEADERS[name](magic, digest, length) + whole.payload)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


@pytest.mark.parametrize("version", [2, 3, 10, 99, 10**50])
@pytest.mark.parametrize("payload", [b"", b"in another form"])
def test_a_newer_version_is_refused_in_a_line(path, version, payload):
    path.write_bytes(signed(payload, version))
    assert_refused(path, f"of version {version}: this release reads up to version 1")


def test_a_newer_previous_does_not_spoil_a_good_one(path, whole):
    path.with_name(f"{NAME}.previous").write_bytes(signed(b"", 2))
    assert restored(path) == (2, whole.states[2])


@pytest.mark.parametrize("header", [b"", b"medarts-checkpoint 1 %s 1000\n" % (b"0" * 64), b"medarts-checkpoint 1 x"])
def test_a_terabyte_is_not_read(path, whole, caplog, header):
    with path.open("wb") as file:
        file.write(header)
        try:
            file.truncate(2**40)
        except OSError as error:
            pytest.skip(f"this file system holds no sparse file of a terabyte: {error}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_previous_is_used(path, whole, caplog, "torn or foreign")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


# Torn and changed

CUTS = [0, 1, 5, 17, 18, 19, 20, 21, 22, 50, 84, 85, 86, 90]
SHARES = [n / 16 for n in range(1, 16)]


@pytest.mark.parametrize("keep", [*CUTS, *SHARES, "header", "header+1", -1, -2, -100])
def test_a_torn_one_is_named_and_the_previous_used(path, whole, caplog, keep):
    if isinstance(keep, str):
        keep = len(whole.header) + keep.count("1")
    elif isinstance(keep, float):
        keep = len(whole.header) + round(keep * len(whole.payload))
    path.write_bytes(whole.newest[:keep])
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


@pytest.mark.parametrize("place", range(96))
def test_a_changed_bit_of_the_header_is_noticed(path, whole, caplog, place):
    content = bytearray(whole.newest)
    content[place % len(whole.header)] ^= 1
    path.write_bytes(content)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


@pytest.mark.parametrize("seed", range(60))
def test_a_changed_byte_of_the_payload_is_noticed(path, whole, caplog, seed):
    draw = random.Random(seed)
    content = bytearray(whole.newest)
    for _ in range(1 + seed % 3):
        content[draw.randrange(len(whole.header), len(content))] ^= draw.randrange(1, 256)
    path.write_bytes(content)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


@pytest.mark.parametrize("block", range(10))
def test_a_block_that_never_reached_the_disk_is_noticed(path, whole, caplog, block):
    start = len(whole.newest) * block // 10
    path.write_bytes(whole.newest[:start] + bytes(512) + whole.newest[start + 512 :])
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


@pytest.mark.parametrize("more", [b"\0", b"\n", b"x" * 4096])
def test_bytes_behind_the_end_are_noticed(path, whole, caplog, more):
    path.write_bytes(whole.newest + more)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


# Foreign


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


def saved(value: Any, **how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **how)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\0" * 4096, b"PK\x03\x04", b"\x89PNG\r\n", b"\x1f\x8b", b"{}", b"\x80\x04."]
)
def test_a_foreign_file_is_named_and_the_previous_used(path, whole, caplog, content):
    path.write_bytes(content)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


def test_a_torch_file_without_a_header_is_foreign(path, whole, caplog):
    path.write_bytes(whole.payload)
    assert_previous_is_used(path, whole, caplog, "torn or foreign")


def test_a_folder_in_its_place_is_named_and_the_previous_used(path, whole, caplog):
    path.unlink()
    path.mkdir()
    assert_previous_is_used(path, whole, caplog, "can't be read (Is a directory)")


def malicious(kind: str, marker: Path) -> bytes:
    evil = Malicious(marker)
    inside = {"identity": TASK.identity, "epochs": 2, "state": evil}
    match kind.split():
        case ["bare", protocol]:
            return pickle.dumps(evil, protocol=int(protocol))
        case ["inside", protocol]:
            return pickle.dumps(inside, protocol=int(protocol))
        case ["torch"]:
            return saved(inside)
        case ["torch-key"]:
            return saved({**inside, "state": {}, "more": [evil]})
    return saved(inside, _use_new_zipfile_serialization=False)


KINDS = [f"{where} {protocol}" for where in ("bare", "inside") for protocol in range(6)] + [
    "torch",
    "torch-key",
    "legacy",
]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("under_header", [False, True])
def test_nothing_in_a_malicious_file_is_run(path, whole, caplog, tmp_path, kind, under_header):
    marker = tmp_path / "marker"
    content = malicious(kind, marker)
    torch.load(io.BytesIO(content), weights_only=False) if "torch" in kind or kind == "legacy" else pickle.loads(
        content
    )
    assert marker.exists()  # it does work where one lets it
    marker.unlink()
    path.write_bytes(signed(content) if under_header else content)
    assert_previous_is_used(path, whole, caplog, "can't be read" if under_header else "torn or foreign")
    assert not marker.exists()


# Whole, with something else in it


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n",
        b"no pickle",
        b"\x80\x04.",
        b"\x80\x02}q\x01h\x07.",
        b"\x80\x02a.",
        b"\x80\x02R.",
        b"(",
        b"PK\x05\x06" + bytes(18),
    ]
    + [b"PK\x03\x04" + bytes(100), b"\x80\x02X\xff\xff\xff\x7f", b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f."],
)
def test_a_whole_file_that_is_none_of_torch_is_named_and_the_previous_used(path, whole, caplog, payload):
    path.write_bytes(signed(payload))
    assert_previous_is_used(path, whole, caplog, "can't be read")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_torn_payload_that_was_signed_is_named_and_the_previous_used(path, whole, caplog, share):
    path.write_bytes(signed(whole.payload[: int(len(whole.payload) * share)]))
    assert_previous_is_used(path, whole, caplog, "can't be read")


@pytest.mark.parametrize(
    "value", [None, 7, "text", [], {}, torch.zeros(3), [TASK.identity], {"epochs": 2, "state": {}}]
)
def test_a_value_without_the_identity_is_of_other_settings(path, whole, caplog, value):
    path.write_bytes(signed(saved(value)))
    assert_previous_is_used(path, whole, caplog, "of other settings")


@pytest.mark.parametrize("identity", [None, "", "0" * 64, 7, 1.0, True, [], {}, torch.zeros(()), torch.zeros(3)])
def test_another_identity_is_of_other_settings(path, whole, caplog, identity):
    path.write_bytes(signed(saved({**read(whole), "identity": identity})))
    assert_previous_is_used(path, whole, caplog, "of other settings")


def read(whole: Whole) -> dict[str, Any]:
    held = torch.load(io.BytesIO(whole.payload), weights_only=True)
    assert isinstance(held, dict)
    return held


REPLACEMENTS = (None, "text", 7, 0.5, True, [], {}, [7, 7, 7, 7], {"more": 7}, torch.zeros(()), torch.zeros(2, 3))


@pytest.mark.parametrize("epochs", ["1", 1.0, True, None, [], 0, -1, torch.tensor(1)])
def test_impossible_epochs_are_refused(path, whole, epochs):
    path.write_bytes(signed(saved({**read(whole), "epochs": epochs})))
    assert_refused(path, "epochs is")


@pytest.mark.parametrize("field", ["epochs", "state"])
def test_a_missing_field_is_refused(path, whole, field):
    held = read(whole)
    del held[field]
    path.write_bytes(signed(saved(held)))
    assert_refused(path, f"{field} is NoneType")


PLACES: list[list[Any]] = [
    ["state"],
    *(["state", key] for key in ("supernet", "alpha", "momentum", "members")),
    *(["state", part, "stem.weight"] for part in ("supernet", "momentum")),
    *(["state", "alpha", n] for n in (0, 1)),
    ["state", "members", 1],
    *(["state", "members", 1, key] for key in ("alpha_optimizer", "scaler", "streams", "history", "failure")),
    *(["state", "members", 0, "alpha_optimizer", key] for key in ("state", "param_groups")),
    *(["state", "members", 0, "alpha_optimizer", "param_groups", 0, key] for key in ("lr", "betas", "eps", "params")),
    *(["state", "members", 0, "streams", n] for n in range(3)),
    ["state", "members", 0, "history", 0],
]


def name_of(place: list[Any]) -> str:
    return ".".join(map(str, place))


def changed(whole: Whole, place: list[Any], change: Callable[[Any, Any], None]) -> dict[str, Any]:
    """What the checkpoint holds, with `change(holder, key)` done at a place."""
    held = copy.deepcopy(read(whole))
    holder: Any = held
    for key in place[:-1]:
        holder = holder[key]
    change(holder, place[-1])
    return held


def of_the_same_form(place: list[Any], replacement: Any) -> bool:
    """What can't be told from the state of another epoch, and is read by nobody but the one who wrote it."""
    match place[-1]:
        case "scaler":  # is off, and holds nothing
            return isinstance(replacement, dict)
        case "history":
            return bool(replacement == [] and isinstance(replacement, list))
        case "state" if len(place) > 1:  # Adam's, empty before the first step
            return isinstance(replacement, dict)
        case "failure":
            return replacement is None
        case "lr" | "eps":
            return isinstance(replacement, float)
    return False


@pytest.mark.parametrize("place", PLACES, ids=name_of)
def test_a_state_that_lacks_or_mistypes_a_part_is_refused_before_anything_of_it_is_used(path, whole, place):
    def remove(holder: Any, key: Any) -> None:
        del holder[key]

    cases = [changed(whole, place, remove)]
    if name_of(place).endswith("history.0"):
        cases.clear()  # one epoch less is a history, too
    for replacement in REPLACEMENTS:
        if not of_the_same_form(place, replacement):
            cases.append(changed(whole, place, lambda holder, key, to=replacement: holder.__setitem__(key, to)))
    for held in cases:
        path.write_bytes(signed(saved(held)))
        assert_refused(path, "does not fit it")
        with pytest.raises(SearchError, match="does not fit it"):
            ended(path)  # nothing half loaded is trained on
        assert path.read_bytes() == signed(saved(held))


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (["state", "alpha", 0], torch.Tensor.double),
        (["state", "alpha", 0], lambda alpha: alpha[:1]),
        (["state", "alpha", 0], lambda alpha: alpha[..., :1]),
        (["state", "alpha", 0], lambda alpha: alpha.flatten()),
        (["state", "supernet", "stem.weight"], torch.Tensor.half),
        (["state", "momentum", "stem.weight"], lambda buffer: buffer[:1]),
        (["state", "momentum"], lambda momentum: {**momentum, "more": torch.zeros(1)}),
        (["state", "members"], lambda members: members * 2),
        (["state", "members", 0, "streams"], lambda streams: streams[:2]),
    ],
)
def test_a_part_of_another_shape_leaves_the_training_as_it_was(path, whole, place, change):
    path.write_bytes(
        signed(saved(changed(whole, place, lambda holder, key: holder.__setitem__(key, change(holder[key])))))
    )
    training = fresh()
    with pytest.raises(SearchError, match="does not fit it"):
        TrainingCheckpoint(FilesHere(), str(path), TASK.identity).restore(training)
    assert fingerprint(training.state()) == whole.states[0]


# Both, and to the end


def break_torn(path: Path, whole: Whole) -> None:
    path.write_bytes(path.read_bytes()[: len(whole.newest) // 2])


def break_flipped(path: Path, whole: Whole) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x40
    path.write_bytes(content)


def break_empty(path: Path, whole: Whole) -> None:
    path.write_bytes(b"")


def break_lost(path: Path, whole: Whole) -> None:
    path.unlink()


def break_malicious(path: Path, whole: Whole) -> None:
    path.write_bytes(signed(malicious("torch", path.with_name("marker"))))


def break_other(path: Path, whole: Whole) -> None:
    path.write_bytes(signed(saved({**read(whole), "identity": "another"})))


BREAKS = [break_torn, break_flipped, break_empty, break_lost, break_malicious, break_other]


@pytest.mark.parametrize("break_", BREAKS)
def test_from_the_previous_one_training_ends_as_if_nothing_had_been(path, whole, break_):
    break_(path, whole)
    assert ended(path) == whole.outcomes


@pytest.mark.parametrize("break_", BREAKS)
@pytest.mark.parametrize("break_previous", BREAKS)
def test_without_a_good_one_training_starts_at_its_beginning(path, whole, break_, break_previous):
    break_(path, whole)
    break_previous(path.with_name(f"{NAME}.previous"), whole)
    assert restored(path) == (0, whole.states[0])


@pytest.mark.parametrize("break_", [break_torn, break_other])
def test_from_its_beginning_training_ends_as_if_nothing_had_been(path, whole, break_):
    break_(path, whole)
    break_(path.with_name(f"{NAME}.previous"), whole)
    assert ended(path) == whole.outcomes


def test_after_a_torn_one_the_next_is_written_over_it_and_not_over_the_good_previous(path, whole):
    break_torn(path, whole)
    training, checkpoint = fresh(), TrainingCheckpoint(FilesHere(), str(path), TASK.identity)
    training.run_epoch(checkpoint.restore(training))
    checkpoint.save(training, 2)
    assert path.with_name(f"{NAME}.previous").read_bytes() == whole.previous
    assert [file for file, _ in CheckpointFile(path).payloads()] == [path, path.with_name(f"{NAME}.previous")]


class StopIn:
    """Ctrl-C when an individual has finished an epoch, before its checkpoint."""

    def __init__(self, individual_id: str, epoch: int) -> None:
        self.individual_id, self.epoch = individual_id, epoch

    def notify(self, event: SearchEvent) -> None:
        if isinstance(event, EpochFinished) and event.individual_id == self.individual_id:
            if event.record.epoch == self.epoch:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return without_seconds(run_search(THREE_EPOCHS, tmp_path_factory.mktemp("search")).model_dump(mode="json"))


THREE_EPOCHS = CONFIG.model_copy(
    update={"stages": tuple(stage.model_copy(update={"epochs": 3}) for stage in CONFIG.stages)}
)


@pytest.mark.parametrize("break_previous", [None, break_flipped])
@pytest.mark.parametrize("break_", [break_torn, break_malicious])
def test_a_search_with_broken_checkpoints_is_resumed_to_the_same_result(
    tmp_path, whole, searched, break_, break_previous
):
    with pytest.raises(KeyboardInterrupt):
        run_search(THREE_EPOCHS, tmp_path, observers=[StopIn("init-01", 2)])
    newest = tmp_path / "checkpoints" / "init-01.pt"
    break_(newest, whole)
    if break_previous is not None:
        break_previous(newest.with_name(f"{newest.name}.previous"), whole)
    assert without_seconds(resume_search(tmp_path).model_dump(mode="json")) == searched
