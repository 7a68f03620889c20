"""Servers and sockets of the machine, and of the user."""

from tests.attacks.attack import WITHOUT, Attack

ASK = """
python3 - <<'PYTHON' > said.txt 2>/dev/null
import socket
for family, address in {0}:
    try:
        with socket.socket(family) as one:
            one.settimeout(1)
            one.connect(address)
            print(one.recv(99).decode())
    except OSError as error:
        print("refused")
PYTHON
cat said.txt
cp said.txt "${{AUTOLOOP_DIAGNOSTICS:-said.txt}}" 2>/dev/null
true
"""
TCP = '[(socket.AF_INET, ("127.0.0.1", @PORT@)), (socket.AF_INET, ("localhost", @PORT@))]'
IN_FILES = '[(socket.AF_UNIX, "@WORK@/docker.sock")]'
ABSTRACT = '[(socket.AF_UNIX, "\\0@MARK@.bus")]'
OLD = "Landlock reaches sockets in files from version 9 on"

ATTACKS = (
    Attack(
        "a server of this machine",
        "measured code fetches its answers",
        code=ASK.format(TCP),
        comes="within_noise",
        open={"none": WITHOUT, "landlock": "Landlock does not cut the network off"},
        shown=True,
    ),
    Attack(
        "a socket in a file",
        "a service that acts for the user, such as Docker's",
        ASK.format(IN_FILES),
        comes="within_noise",
        open={"none": WITHOUT, "landlock<9": OLD},
        shown=True,
    ),
    Attack(
        "a socket in a file, by a candidate",
        "a service that acts for the user, such as Docker's",
        code=ASK.format(IN_FILES),
        comes="within_noise",
        open={"none": WITHOUT, "landlock<9": OLD},
        shown=True,
    ),
    Attack(
        "an abstract socket",
        "a service that acts for the user, such as a display's",
        ASK.format(ABSTRACT),
        comes="within_noise",
        open={
            "none": WITHOUT,
            "bwrap": "such sockets belong to the network, which agents have",
            "landlock<6": "Landlock knows them from version 6 on",
        },
        shown=True,
    ),
    Attack(
        "an abstract socket, by a candidate",
        "a service that acts for the user, such as a display's",
        code=ASK.format(ABSTRACT),
        comes="within_noise",
        open={"none": WITHOUT, "landlock<6": "Landlock knows them from version 6 on"},
        shown=True,
    ),
    Attack(
        "a disk, a clock, the kernel",
        "what root may do",
        """
        for d in /dev/vda /dev/sda /dev/nvme0n1 /dev/mem /dev/kmsg /dev/loop-control; do cat $d | head -c 9 > read 2>/dev/null && test -s read && touch reached; done
        mknod disk b 259 0 && head -c 9 disk && touch reached
        date -s "$(date)" && touch reached; hostname "$(hostname)" && touch reached; mount -t tmpfs none lib && touch reached
        for f in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sys/kernel/sysrq; do
            old=$(cat $f) && echo "$old" > $f && touch reached
        done
        rm -f disk read
        true
        """,
        open={"none": WITHOUT},
    ),
    Attack(
        "files of the machine",
        "programs that run later, as root",
        """
        for f in /etc/profile.d/@MARK@.sh /etc/cron.d/@MARK@ /usr/local/bin/@MARK@ /etc/sudoers.d/@MARK@ /var/spool/cron/@MARK@ /opt/@MARK@; do
            echo planted > $f && touch reached
        done 2>/dev/null
        head -c 1 /etc/shadow 2>/dev/null | grep -q . && touch reached
        true
        """,
        open={"none root": WITHOUT},
    ),
)
