"""What a path stands for."""

import pytest

from clients.errors import BadRecordings
from clients.wisdm.sources import find_files

LINE_2019 = "1600,A,90426708196641,7.091625,-0.5916671,8.195502;\n"
LINE_V1 = "33,Jogging,49105962326000,-0.69,12.68,0.50;\n"


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (LINE_2019, "wisdm-2019"),
        (LINE_V1, "wisdm-v1.1"),
        ("\n" + LINE_V1.replace(",", ", "), "wisdm-v1.1"),
        ('@relation x\n@ATTRIBUTE "user" numeric\n', "wisdm-v1.1-features"),
    ],
)
def test_source_is_told_from_the_contents_whatever_the_name(tmp_path, text, source):
    path = write(tmp_path, "some.dat", text)
    assert find_files(path, "auto").source == source


def test_2019_files_are_found_below_and_sorted(tmp_path):
    for user in (1602, 1600, 1601):
        write(tmp_path, f"raw/watch/accel/data_{user}_accel_watch.txt", LINE_2019)
    found = find_files(tmp_path, "auto")
    assert [f.name[5:9] for f in found.files] == ["1600", "1601", "1602"]
    assert found.notes == ()


def test_gyroscope_files_are_passed_over_and_told(tmp_path):
    write(tmp_path, "accel/data_1600_accel_watch.txt", LINE_2019)
    write(tmp_path, "gyro/data_1600_gyro_watch.txt", LINE_2019)
    found = find_files(tmp_path, "wisdm-2019")
    assert [f.name for f in found.files] == ["data_1600_accel_watch.txt"]
    assert "1 gyroscope files" in found.notes[0]


def test_watch_and_phone_together_ask_for_a_choice(tmp_path):
    write(tmp_path, "watch/accel/data_1600_accel_watch.txt", LINE_2019)
    write(tmp_path, "phone/accel/data_1600_accel_phone.txt", LINE_2019)
    with pytest.raises(BadRecordings, match=r"both watch and phone.*phone/accel or .*watch/accel"):
        find_files(tmp_path, "auto")
    assert len(find_files(tmp_path / "phone", "auto").files) == 1


@pytest.mark.parametrize("folder", [True, False])
def test_gyroscope_alone_is_refused(tmp_path, folder):
    path = write(tmp_path, "data_1600_gyro_watch.txt", LINE_2019)
    with pytest.raises(BadRecordings, match="gyroscope"):
        find_files(tmp_path if folder else path, "auto")


def test_published_v1_folder_means_the_raw_file(tmp_path):
    write(tmp_path, "WISDM_ar_v1.1_raw.txt", LINE_V1)
    write(tmp_path, "WISDM_ar_v1.1_transformed.arff", "@attribute x numeric")
    found = find_files(tmp_path, "auto")
    assert found.source == "wisdm-v1.1"
    assert "transformed.arff was passed over" in found.notes[0]
    assert find_files(tmp_path, "wisdm-v1.1-features").source == "wisdm-v1.1-features"


def test_folder_of_two_data_sets_asks_for_a_choice(tmp_path):
    write(tmp_path, "a/WISDM_ar_v1.1_raw.txt", LINE_V1)
    write(tmp_path, "b/data_1600_accel_watch.txt", LINE_2019)
    with pytest.raises(BadRecordings, match=r"wisdm-v1\.1 and wisdm-2019"):
        find_files(tmp_path, "auto")
    assert len(find_files(tmp_path, "wisdm-2019").files) == 1


def test_two_raw_files_ask_for_a_choice(tmp_path):
    write(tmp_path, "a/WISDM_ar_v1.1_raw.txt", LINE_V1)
    write(tmp_path, "b/WISDM_ar_v1.1_raw.txt", LINE_V1)
    with pytest.raises(BadRecordings, match=r"2 files of wisdm-v1\.1"):
        find_files(tmp_path, "auto")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no row of any known source"),
        (b"hello\n", "no row of any known source"),
        (b"\x7fELF\0\0\0", "binary file"),
        (b"\xfd7zXZ\0\0", "a xz archive.*Unpack it first"),
        (b"PK\x03\x04rest", "a zip archive"),
    ],
)
def test_file_that_is_no_data_is_refused(tmp_path, data, message):
    path = write(tmp_path, "file.txt", data)
    with pytest.raises(BadRecordings, match=message):
        find_files(path, "auto")


def test_wrong_path_empty_folder_and_unknown_source_are_refused(tmp_path):
    with pytest.raises(BadRecordings, match="no such file or folder"):
        find_files(tmp_path / "absent", "auto")
    with pytest.raises(BadRecordings, match="no files of any source"):
        find_files(tmp_path, "auto")
    with pytest.raises(BadRecordings, match=r"unknown source 'wisdm'; expected one of wisdm-v1\.1"):
        find_files(tmp_path, "wisdm")
