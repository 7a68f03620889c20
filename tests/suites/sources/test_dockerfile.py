"""What a Dockerfile amounts to without a container."""

from pathlib import Path

import pytest

from autoloop.errors import AutoloopError
from autoloop.suites.sources.dockerfile.commands import why_not, without_it
from autoloop.suites.sources.dockerfile.image import Image, read_image
from autoloop.suites.sources.dockerfile.parse import context_of
from tests.suites.written import written

FILES = {"environment/a.txt": "a", "environment/b.txt": "b", "environment/src/x.py": "x", "environment/src/sub/y": "y"}


def read(root: Path, text: str, environ: dict[str, str] | None = None) -> Image:
    written(root, FILES)
    context = context_of(root, root / "environment")
    return read_image(text, context, environ or {"PATH": "/bin"}, lambda name: name != "node", "Dockerfile")


def placed(image: Image) -> dict[str, str]:
    """Targets by their sources, below `environment`."""
    assert image.contained == ""
    return {one.source.removeprefix("environment/"): one.target for one in image.files}


COPIES = {
    "COPY a.txt /app/": {"a.txt": "/app/a.txt"},
    "COPY a.txt .": {"a.txt": "/app/a.txt"},
    "COPY ./a.txt ./other.txt": {"a.txt": "/app/other.txt"},
    "COPY a.txt /app": {"a.txt": "/app/a.txt"},
    "COPY a.txt /data/in": {"a.txt": "/data/in"},
    "RUN mkdir -p /data/in\nCOPY a.txt /data/in": {"a.txt": "/data/in/a.txt"},
    "COPY src /app": {"src": "/app"},
    "COPY src lib/": {"src": "/app/lib"},
    "COPY *.txt ./": {"a.txt": "/app/a.txt", "b.txt": "/app/b.txt"},
    "COPY [ab].txt src ./": {"a.txt": "/app/a.txt", "b.txt": "/app/b.txt", "src": "/app"},
    "COPY --chown=me:me --link a.txt /srv/x/": {"a.txt": "/srv/x/a.txt"},
    'ADD ["a.txt", "/srv/with space/"]': {"a.txt": "/srv/with space/a.txt"},
    "ARG D=in\nENV E=/srv/$D\nCOPY a.txt ${E}/${F:-f}": {"a.txt": "/srv/in/f"},
    "COPY . .": {"": "/app"},
    "WORKDIR sub\nCOPY a.txt .": {"a.txt": "/app/sub/a.txt"},
}


@pytest.mark.parametrize("lines", COPIES)
def test_copies_land_where_docker_puts_them(tmp_path: Path, lines: str) -> None:
    image = read(tmp_path, f"FROM ubuntu\nWORKDIR /app\n{lines}\n")
    found = {("" if source == "environment" else source): target for source, target in placed(image).items()}
    assert found == COPIES[lines]


def test_a_dockerignore_leaves_files_out(tmp_path: Path) -> None:
    written(tmp_path, {"environment/.dockerignore": "# no\n*.txt\n!b.txt\nsrc/sub\n.dockerignore\n"})
    image = read(tmp_path, "FROM ubuntu\nCOPY . /app/\n")
    assert placed(image) == {"b.txt": "/app/b.txt", "src/x.py": "/app/src/x.py"}
    with pytest.raises(AutoloopError, match=r'no "a\.txt"'):
        read(tmp_path, "FROM ubuntu\nCOPY a.txt /app/\n")


def test_variables_workdirs_and_harmless_commands_are_applied(tmp_path: Path) -> None:
    image = read(tmp_path, """\
# syntax=docker/dockerfile:1
ARG TAG=24.04
FROM --platform=linux/amd64 ubuntu:${TAG} AS base
# a comment
ENV A=1 B="two words" \\
    # a comment inside
    PATH=/opt/bin:$PATH
ENV C the rest of it
ARG NAME=n
WORKDIR /app
RUN mkdir -p out/$NAME && touch "$A.txt" \\
    && echo "a\\nb" > out/x 2>/dev/null
RUN ["mkdir", "two words"]
LABEL x=y
EXPOSE 80
USER root
SHELL ["/bin/bash", "-c"]
ENTRYPOINT ["/bin/bash"]
CMD ["bash"]
""", {"PATH": "/usr/bin"})  # fmt: skip
    assert image.contained == "" and image.workdir == "/app"
    assert image.env == {"A": "1", "B": "two words", "PATH": "/opt/bin:/usr/bin", "C": "the rest of it"}
    assert image.setup == [
        "cd /app && shopt -s xpg_echo; NAME=n; mkdir -p out/$NAME && touch \"$A.txt\"      && echo \"a\\nb\" > out/x "
        "2>/dev/null",
        "cd /app && mkdir 'two words'",
    ]  # fmt: skip


def test_directories_that_a_trial_makes_itself_are_left_to_it(tmp_path: Path) -> None:
    lines = "RUN mkdir -p /logs/verifier\nRUN true && mkdir -p /tests /data; mkdir /logsofours\n"
    image = read(tmp_path, f"FROM ubuntu\n{lines}")
    assert image.contained == ""
    assert image.setup == ["true", "true && mkdir -p /data; mkdir /logsofours"]


def test_a_mode_of_copy_is_set(tmp_path: Path) -> None:
    assert read(tmp_path, "FROM ubuntu\nCOPY --chmod=755 a.txt /app/x\n").setup == ["chmod -R 755 /app/x"]


NEEDING = {
    "installs or fetches something (apt-get)": "RUN apt-get update && apt-get install -y python3",
    "installs or fetches something (pip)": "RUN mkdir x && pip install numpy",
    "installs or fetches something (git)": "RUN git clone https://example.com/x",
    "runs make": "RUN cd /app && make",
    "runs useradd": "RUN useradd me",
    "runs a command inside another": "RUN echo $(id)",
    "touches /etc": "RUN echo x > /etc/motd",
    "touches /tests": "RUN touch /tests/x",
    "a here-document in COPY": "COPY <<EOF /app/x\nnot an instruction\nEOF",
    "several stages": "FROM ubuntu",
    "COPY --from": "COPY --from=x /a /b",
    "RUN --mount": "RUN --mount=type=cache,target=/x mkdir y",
    "fetches a file with ADD": "ADD https://example.com/x /app/",
    "unpacks an archive with ADD": "ADD x.tar.gz /app/",
    "below /usr": "COPY a.txt /usr/local/bin/a",
    "below /tests": "COPY a.txt /tests/",
    "uses / itself": "WORKDIR /",
    "has ENTRYPOINT": 'ENTRYPOINT ["/start.sh"]',
    "has HEALTHCHECK": "HEALTHCHECK CMD true",
    "has ONBUILD": "ONBUILD RUN true",
    "has SHELL": 'SHELL ["python3", "-c"]',
}


@pytest.mark.parametrize("said", NEEDING)
def test_what_needs_a_container_is_said(tmp_path: Path, said: str) -> None:
    written(tmp_path, {"environment/x.tar.gz": ""})
    why = read(tmp_path, f"FROM ubuntu\n{NEEDING[said]}\n").contained
    assert said in why and "\n" not in why


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COPY gone.txt /app/", 'Dockerfile:2: there is no "gone.txt"'),
        ("COPY ../tests /app/", 'Dockerfile:2: "../tests" leads out of environment/'),
        ("COPY 'a.txt /app/", "Dockerfile:2: COPY: No closing quotation"),
        ("1RUN x", "no instruction"),
    ],
)
def test_a_dockerfile_that_cannot_be_built_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(AutoloopError) as caught:
        read(tmp_path, f"FROM ubuntu\n{line}\n")
    assert said in str(caught.value)
    with pytest.raises(AutoloopError, match="no FROM"):
        read(tmp_path, "# nothing\n")


def test_an_image_is_known_by_what_it_brings() -> None:
    here = {"python3", "gcc", "make"}.__contains__
    known = ("ubuntu", "python:3.13-slim@sha256:0a", "docker.io/library/debian:12", "gcc:14", "docker.io/alpine")
    assert [without_it(image, here) for image in known] == [""] * len(known)
    assert without_it("node:20", here).startswith("its image node:20 brings node, which is not here")
    for unknown in ("someone/python:3", "quay.io/python", "registry:5000/ubuntu", "postgres:16"):
        assert "is not known" in without_it(unknown, here)


def test_words_in_quotes_are_no_commands() -> None:
    assert why_not("echo 'apt-get install; make' > x.txt && cat x.txt | tee y.txt") == ""
    assert why_not('printf "#!/usr/bin/env python3\\n" > a.py') == ""
    assert why_not("A=1 make") and why_not("true; (make)") and why_not("echo 'torn")
