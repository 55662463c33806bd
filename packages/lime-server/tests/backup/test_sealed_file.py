"""The file of a backup: read as it was written, or refused."""

import errno
import io

import pytest

from lime_server.infrastructure.backup.errors import BackupError, DamagedError, NewerBackupError
from lime_server.infrastructure.backup.sealed_file import (
    LARGEST_CONTENT,
    Kind,
    SealedReader,
    SealedWriter,
)

PASSPHRASE = b"correct horse battery staple"
HEAD = len(b"lime backup 1\n") + 16
RECORDS = [
    (Kind.MANIFEST, b"manifest"),
    (Kind.TABLE, b"table"),
    (Kind.ROWS, b"first rows"),
    (Kind.ROWS, b"other rows"),
    (Kind.END, b"end"),
]


def written(records=RECORDS, *, salt=bytes(16)):
    file = io.BytesIO()
    sink = SealedWriter(file, PASSPHRASE, salt=salt)
    for kind, content in records:
        sink.write(kind, content)
    return file.getvalue()


def read(data, passphrase=PASSPHRASE):
    source = SealedReader(io.BytesIO(data), passphrase)
    found = []
    while not found or found[-1][0] is not Kind.END:
        found.append(tuple(source.read()))
    return found


@pytest.fixture(scope="module")
def whole():
    return written()


@pytest.fixture(scope="module")
def pieces(whole):
    """What stands before the records, and each record."""
    found, place = [whole[:HEAD]], HEAD
    while place < len(whole):
        end = place + 5 + int.from_bytes(whole[place + 1 : place + 5], "big")
        found.append(whole[place:end])
        place = end
    return found


def test_what_was_written_is_read(whole):
    assert read(whole) == RECORDS


def test_nothing_of_it_can_be_seen(whole):
    assert not any(content in whole for _, content in RECORDS if len(content) > 3)
    assert PASSPHRASE not in whole


def test_two_files_of_the_same_content_have_nothing_in_common(whole):
    other = written(salt=bytes([1]) * 16)
    assert all(one not in other for one in (whole[HEAD + 5 : HEAD + 25], whole[-20:]))


def test_the_largest_record_passes():
    large = [(Kind.ROWS, bytes(LARGEST_CONTENT)), (Kind.END, b"")]
    assert read(written(large)) == large


def test_another_passphrase_is_refused(whole):
    with pytest.raises(DamagedError, match="The passphrase is another one"):
        read(whole, PASSPHRASE + b" ")


def test_a_file_that_was_cut_anywhere_is_refused(whole, pieces):
    lengths = {sum(map(len, pieces[:count])) for count in range(1, len(pieces))}
    inside = {length + more for length in lengths for more in (1, 5, 20)}
    for length in sorted(lengths | inside | {HEAD - 1, len(whole) - 1}):
        with pytest.raises(DamagedError, match="is cut off"):
            read(whole[:length])


@pytest.mark.parametrize("data", [b"", b"lime", b"PGDMP" + bytes(100)])
def test_what_is_no_backup_is_refused(data):
    with pytest.raises(DamagedError, match="is not a backup"):
        read(data)


def test_a_later_form_is_told_from_damage(whole):
    with pytest.raises(NewerBackupError):
        read(whole.replace(b"backup 1", b"backup 2"))


def test_a_changed_byte_anywhere_is_refused(whole, pieces):
    starts = [sum(map(len, pieces[:count])) for count in range(1, len(pieces))]
    # The salt; and of every record its kind, its length, version, nonce, text and tag.
    places = [HEAD - 1, *(start + offset for start in starts for offset in (0, 4, 5, 6, 20, -1))]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(DamagedError):
            read(bytes(changed))


def test_a_record_says_which_one_it_is_when_it_was_changed(pieces):
    changed = bytes([*pieces[3][:-1], pieces[3][-1] ^ 1])
    with pytest.raises(DamagedError, match="record 2 is not as written"):
        read(b"".join([*pieces[:3], changed, *pieces[4:]]))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([0, 1, 2, 4, 3, 5], id="exchanged"),
        pytest.param([0, 1, 2, 3, 5], id="left out"),
        pytest.param([0, 1, 2, 3, 3, 4, 5], id="repeated"),
        pytest.param([0, 2, 3, 4, 5], id="without a beginning"),
        pytest.param([0, 5], id="only the end"),
    ],
)
def test_records_keep_their_order(pieces, order):
    with pytest.raises(DamagedError):
        read(b"".join(pieces[number] for number in order))


def test_a_record_of_another_backup_with_the_same_passphrase_is_refused(whole, pieces):
    other = written(salt=bytes([1]) * 16)
    start = sum(map(len, pieces[:3]))
    end = start + len(pieces[3])
    with pytest.raises(DamagedError):
        read(whole[:start] + other[start:end] + whole[end:])


def test_what_was_added_to_the_end_is_noticed(whole):
    with pytest.raises(DamagedError, match="added to the end"):
        read(whole + b"\0")


def test_a_length_is_refused_before_so_much_is_read(whole):
    class Watched(io.BytesIO):
        most = 0

        def read(self, size=-1):
            self.most = max(self.most, size)
            return super().read(size)

    file = Watched(whole[: HEAD + 1] + b"\xff\xff\xff\xff" + whole[HEAD + 5 :])
    with pytest.raises(DamagedError):
        SealedReader(file, PASSPHRASE).read()
    assert file.most < LARGEST_CONTENT


class Broken(io.BytesIO):
    def __init__(self, content, good_for):
        super().__init__(content)
        self.good_for = good_for

    def read(self, size=-1):
        self._use()
        return super().read(size)

    def write(self, data):
        self._use()
        return super().write(data)

    def _use(self):
        self.good_for -= 1
        if self.good_for < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_sentence():
    sink = SealedWriter(Broken(b"", 1), PASSPHRASE, salt=bytes(16))
    with pytest.raises(BackupError, match=r"cannot be written: No space left on device\."):
        sink.write(Kind.END, b"")


def test_a_broken_disk_is_a_sentence(whole):
    source = SealedReader(Broken(whole, 2), PASSPHRASE)
    with pytest.raises(DamagedError, match="cannot be read: No space"):
        source.read()
