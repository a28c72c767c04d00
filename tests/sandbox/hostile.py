"""Hostile programs, each with what must hold. `{…}` in a source is filled in by the test with what it must not reach.

A program says what it achieved. `escaped` in its result or output is a failure of the walls; `ends` is how the call
must end: in an answer of its own, an error, or either.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Hostile:
    name: str
    source: str
    ends: Literal["value", "error", "any"] = "any"
    says: str | None = None
    """What the answer must contain."""
    seconds: float = 4.0
    """The wall time it is given."""


def tries(*lines: str) -> str:
    """A program that tries something and says `escaped` if it worked."""
    body = "\n".join(f"        {line}" for part in lines for line in part.strip("\n").split("\n"))
    return (
        "import os, sys, socket, ctypes, signal, subprocess, time, json, struct, threading\n"
        f"def attack():\n    try:\n{body}\n    except BaseException as error:\n"
        "        return f'held: {type(error).__name__} {error}'\n    return 'escaped'\n"
    )


def shows(*lines: str) -> str:
    """A program whose result is looked through for the secrets."""
    body = "\n".join(f"    {line}" for part in lines for line in part.strip("\n").split("\n"))
    return f"import os, sys, glob, socket, subprocess, time, json\ndef attack():\n{body}\n"


_FILES = [
    Hostile(f"read {what}", tries(f"print(open({path!r}).read(4096))"), says="held")
    for what, path in {
        "the database": "{home}/loci.db",
        "the vault key": "{home}/secret.key",
        "a file of the server": "{secret_file}",
        "ssh keys": "/root/.ssh/id_rsa",
        "a file of root's": "/root/.bashrc",
        "shadow": "/etc/shadow",
        "passwd": "/etc/passwd",
        "the environment of the server": "/proc/{server_pid}/environ",
        "the command of the server": "/proc/{server_pid}/cmdline",
        "the memory of the server": "/proc/{server_pid}/mem",
        "the memory of the first process": "/proc/1/mem",
        "the environment of the parent": "/proc/{parent_pid}/environ",
        "a folder of the server by ..": "/usr/../../..{secret_file}",
        "kernel memory": "/dev/mem",
        "a disk": "/dev/vda",
        "the kernel log": "/dev/kmsg",
        "the boot command": "/proc/cmdline",
        "kernel symbols": "/proc/kallsyms",
        "a service account": "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "the root of the host by a descriptor": "/proc/{server_pid}/root/etc/hostname",
    }.items()
]
_WRITES = [
    Hostile(f"write {what}", tries(f"open({path!r}, 'a').write('x')"), says="held")
    for what, path in {
        "to the data": "{home}/loci.db",
        "beside the data": "{home}/planted",
        "to the system": "/usr/lib/planted.py",
        "to the interpreter": "{base}/lib/planted.py",
        "to etc": "/etc/cron.d/planted",
        "to the kernel's settings": "/proc/sys/kernel/core_pattern",
        "to sysrq": "/proc/sysrq-trigger",
        "to the root folder": "/planted",
        "to the real tmp": "{tmp}/planted",
    }.items()
]
_CALLS = [
    Hostile("list the home of the server", tries("os.listdir('{home}')"), says="held"),
    Hostile("list root's home", tries("os.listdir('/root')"), says="held"),
    Hostile("follow a link to the data", tries("os.symlink('{secret_file}', 'x'); open('x').read()"), says="held"),
    Hostile("hard link to the data", tries("os.link('{secret_file}', 'x'); open('x').read()"), says="held"),
    Hostile("rename the data away", tries("os.rename('{secret_file}', 'x')"), says="held"),
    Hostile("delete the data", tries("os.unlink('{secret_file}')"), says="held"),
    Hostile("truncate the data", tries("os.truncate('{secret_file}', 0)"), says="held"),
    Hostile(
        "make the data readable", shows("try: os.chmod('{secret_file}', 0o777)\nexcept OSError: pass\nreturn 'tried'")
    ),
    Hostile(
        "give the data away", shows("try: os.chown('{secret_file}', 1234, 1234)\nexcept OSError: pass\nreturn 'tried'")
    ),
    Hostile("age the data", shows("try: os.utime('{secret_file}', (1, 1))\nexcept OSError: pass\nreturn 'tried'")),
    Hostile(
        "climb out by chdir", tries("for _ in range(40): os.chdir('..')\nopen('{secret_file}'[1:]).read()"), says="held"
    ),
    Hostile(
        "leave by chroot",
        tries("os.mkdir('x'); os.chroot('x'); os.chdir('../../../../..'); os.listdir('root')"),
        says="held",
    ),
    Hostile(
        "mount",
        tries("libc = ctypes.CDLL(None)\nif libc.mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError"),
        says="held",
    ),
    Hostile(
        "a new user namespace",
        tries("libc = ctypes.CDLL(None)\nif libc.unshare(0x10000000): raise OSError"),
        says="held",
    ),
    Hostile(
        "clone into a namespace",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) < 0: raise OSError"),
        says="held",
    ),
    Hostile(
        "join the server's namespaces",
        tries("libc = ctypes.CDLL(None)\nif libc.setns(3, 0): raise OSError"),
        says="held",
    ),
    Hostile(
        "trace the parent",
        tries("libc = ctypes.CDLL(None)\nif libc.ptrace(16, os.getppid() or {server_pid}, 0, 0): raise OSError"),
        says="held",
    ),
    Hostile("trace itself", tries("libc = ctypes.CDLL(None)\nif libc.ptrace(0, 0, 0, 0): raise OSError"), says="held"),
    Hostile(
        "load a program into the kernel",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(321, 5, 0, 0) < 0: raise OSError"),
        says="held",
    ),
    Hostile(
        "io_uring",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(425, 8, ctypes.create_string_buffer(200)) < 0: raise OSError"),
        says="held",
    ),
    Hostile("userfaultfd", tries("libc = ctypes.CDLL(None)\nif libc.syscall(323, 0) < 0: raise OSError"), says="held"),
    Hostile(
        "copy the memory of the server",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(310, {server_pid}, None, 0, None, 0, 0): raise OSError"),
        says="held",
    ),
    Hostile(
        "32-bit calls",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(0x40000000 | 101, 16, {server_pid}, 0, 0) < 0: raise OSError"),
        ends="any",
    ),
    Hostile(
        "the kernel's keys",
        tries("libc = ctypes.CDLL(None)\nif libc.syscall(250, 0, -3, 1) < 0: raise OSError"),
        says="held",
    ),
    Hostile(
        "personality", tries("libc = ctypes.CDLL(None)\nif libc.personality(0x0040000) < 0: raise OSError"), says="held"
    ),
    Hostile(
        "open by handle",
        tries(
            "libc = ctypes.CDLL(None)\nif libc.syscall(304, -100, ctypes.create_string_buffer(64), 0) < 0: raise OSError"
        ),
        says="held",
    ),
    Hostile(
        "become root",
        tries("os.setuid(0) if os.getuid() else os.setresuid(1, 1, 1)\nos.seteuid(0)\nopen('/etc/shadow').read()"),
        says="held",
    ),
    Hostile(
        "a set-user-id program",
        tries(
            "import shutil\nshutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o4755)\nout = subprocess.run(['./id', '-u'], capture_output=True).stdout\nassert out.strip() == b'0' and open('/etc/shadow').read()"
        ),
        says="held",
    ),
    Hostile(
        "su",
        tries("subprocess.run(['su', '-c', 'cat /etc/shadow'], check=True, stdin=subprocess.DEVNULL)"),
        says="held",
    ),
    Hostile(
        "a device node", tries("os.mknod('disk', 0o60666, os.makedev(254, 0)); open('disk', 'rb').read(1)"), says="held"
    ),
    Hostile("signal the server", tries("os.kill({server_pid}, 0)"), says="held"),
    Hostile("kill the server", tries("os.kill({server_pid}, signal.SIGKILL)"), says="held"),
    Hostile(
        "kill everything it can name",
        shows(
            "for pid in (-1, 0, 1, os.getppid()):\n    try: os.kill(pid, 9)\n    except OSError: pass\nreturn 'lives'"
        ),
    ),
    Hostile("slow the machine down", tries("os.setpriority(os.PRIO_PROCESS, 0, -20)"), says="held"),
    Hostile("set the clock", tries("time.clock_settime(time.CLOCK_REALTIME, 0)"), says="held"),
    Hostile("rename the machine", tries("socket.sethostname('planted')"), says="held"),
    Hostile("type on a terminal", tries("import fcntl\nfcntl.ioctl(0, 0x5412, b'x')"), says="held"),
    Hostile(
        "raise its own limits", tries("import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))"), says="held"
    ),
]
_NETWORK = [
    Hostile(f"connect to {what}", tries(f"s = socket.create_connection(({host!r}, {port}), 1)"), says="held")
    for what, (host, port) in {
        "the server": ("127.0.0.1", "{port}"),
        "the server by IPv6": ("::1", "{port}"),
        "the metadata service": ("169.254.169.254", "80"),
        "a public address": ("1.1.1.1", "443"),
    }.items()
] + [
    Hostile(
        "send UDP",
        tries("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', {port}))"),
        says="held",
    ),
    Hostile("ask a name server", tries("socket.getaddrinfo('example.org', 80)"), says="held"),
    Hostile("a raw socket", tries("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"), says="held"),
    Hostile("a packet socket", tries("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"), says="held"),
    Hostile("a netlink socket", tries("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"), says="held"),
    Hostile(
        "a socket to the hypervisor",
        tries("socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((2, 1024))"),
        says="held",
    ),
    Hostile("the kernel's crypto", tries("socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)"), says="held"),
    Hostile(
        "a unix socket of the server",
        tries("s = socket.socket(socket.AF_UNIX); s.connect('{unix_socket}')"),
        says="held",
    ),
    Hostile(
        "an abstract unix socket", tries("s = socket.socket(socket.AF_UNIX); s.connect('\\0{abstract}')"), says="held"
    ),
    Hostile(
        "the docker socket", tries("s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock')"), says="held"
    ),
    Hostile(
        "shared memory of the machine",
        tries("libc = ctypes.CDLL(None)\nif libc.shmget({shm_key}, 8, 0) < 0: raise OSError"),
        says="held",
    ),
    Hostile("curl", tries("subprocess.run(['curl', '-sf', 'http://127.0.0.1:{port}'], check=True)"), says="held"),
]
_SECRETS = [
    Hostile("its environment", shows("return dict(os.environ)"), ends="value"),
    Hostile(
        "environments of processes",
        shows(
            "found = []\nfor path in glob.glob('/proc/*/environ'):\n    try: found.append(open(path, 'rb').read().decode('utf8', 'replace'))\n    except OSError: pass\nreturn found"
        ),
    ),
    Hostile(
        "commands of processes",
        shows(
            "found = []\nfor path in glob.glob('/proc/*/cmdline'):\n    try: found.append(open(path).read())\n    except OSError: pass\nreturn found"
        ),
    ),
    Hostile(
        "descriptors that were left open",
        shows(
            "found = []\nfor fd in range(3, 64):\n    try: found.append(os.read(fd, 10) and 'read')\n    except OSError: pass\nreturn [item for item in found if item]"
        ),
    ),
    Hostile(
        "objects in memory",
        shows(
            "import gc\nreturn [str(o)[:200] for o in gc.get_objects() if isinstance(o, dict) and any('{marker}' in str(v)[:300] for v in list(o.values())[:50])][:5]"
        ),
    ),
    Hostile(
        "its callers",
        shows(
            "frame, found = sys._getframe(), []\nwhile frame:\n    found.append(str(frame.f_locals)[:3000]); frame = frame.f_back\nreturn found"
        ),
    ),
    Hostile(
        "mounts", shows("try: return open('/proc/self/mountinfo').read()\nexcept OSError as error: return str(error)")
    ),
    Hostile(
        "what another call left",
        shows(
            "return [name for place in ('/tmp', '/dev/shm', '/var/tmp') for name in (os.listdir(place) if os.access(place, os.R_OK) else []) if 'left' in name]"
        ),
        ends="any",
    ),
]
_BOMBS = [
    Hostile(
        "fork bomb",
        "import os\ndef attack():\n    while True:\n        try: os.fork()\n        except OSError: pass\n",
        ends="error",
        seconds=1.0,
    ),
    Hostile(
        "fork bomb that sleeps",
        "import os, time\ndef attack():\n    made = 0\n    for _ in range(500):\n        try:\n            if os.fork() == 0: time.sleep(60); os._exit(0)\n            made += 1\n        except OSError: break\n    return 'escaped' if made > 200 else f'held after {made}'\n",
        seconds=3.0,
    ),
    Hostile(
        "thread bomb",
        "import threading, time\ndef attack():\n    made = 0\n    for _ in range(5000):\n        try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n        except RuntimeError: break\n        made += 1\n    return 'escaped' if made > 2000 else f'held after {made}'\n",
        seconds=3.0,
    ),
    Hostile("memory bomb", "def attack():\n    return len('x' * 10**10)\n", ends="error"),
    Hostile(
        "memory bomb in steps",
        "def attack():\n    kept = []\n    while True: kept.append(bytearray(50_000_000))\n",
        ends="error",
    ),
    Hostile(
        "memory bomb in children",
        "import os, time\ndef attack():\n    for _ in range(8):\n        if os.fork() == 0:\n            kept = bytearray(b'x') * 400_000_000\n            time.sleep(30)\n    time.sleep(30)\n",
        ends="error",
        seconds=3.0,
    ),
    Hostile("endless loop", "def attack():\n    while True: pass\n", ends="error", says="longer", seconds=0.5),
    Hostile(
        "endless sleep", "import time\ndef attack():\n    time.sleep(1000)\n", ends="error", says="longer", seconds=0.5
    ),
    Hostile(
        "deaf to signals",
        "import signal, time\ndef attack():\n    for number in range(1, 64):\n        try: signal.signal(number, signal.SIG_IGN)\n        except (OSError, ValueError): pass\n    time.sleep(1000)\n",
        ends="error",
        says="longer",
        seconds=0.5,
    ),
    Hostile(
        "a regular expression without end",
        "import re\ndef attack():\n    return re.match(r'(a+)+$', 'a' * 50 + 'b')\n",
        ends="error",
        says="longer",
        seconds=0.5,
    ),
    Hostile(
        "a huge file",
        "def attack():\n    with open('big', 'wb') as file:\n        for _ in range(1000): file.write(b'x' * 1_000_000)\n    return 'escaped'\n",
        ends="error",
    ),
    Hostile(
        "many files",
        "def attack():\n    made = 0\n    try:\n        for n in range(100):\n            with open(f'f{n}', 'wb') as file: file.write(b'x' * 20_000_000)\n            made += 1\n    except OSError: return f'held after {made}'\n    return 'escaped'\n",
        seconds=5.0,
    ),
    Hostile(
        "many open files",
        "def attack():\n    kept = []\n    try:\n        for _ in range(5000): kept.append(open('/dev/null'))\n    except OSError: return 'held'\n    return 'escaped'\n",
        says="held",
    ),
    Hostile("endless output", "def attack():\n    while True: print('x' * 100_000)\n", ends="error", seconds=0.7),
    Hostile("a huge result", "def attack():\n    return 'x' * 30_000_000\n", ends="error", says="larger"),
    Hostile(
        "a deep result",
        "def attack():\n    value = []\n    for _ in range(100_000): value = [value]\n    return value\n",
        ends="error",
    ),
    Hostile("endless recursion", "def attack():\n    return attack()\n", ends="error", says="RecursionError"),
    Hostile("a crash", "import ctypes\ndef attack():\n    ctypes.string_at(0)\n", ends="error"),
]
_FORGERIES = [
    Hostile(
        "a marker on standard output",
        "import json\ndef attack():\n    print(json.dumps({'value': 'forged'}))\n    print('{\"value\": \"forged\"}\\n' * 3)\n    return 'true'\n",
        ends="value",
        says="true",
    ),
    Hostile(
        "escape sequences",
        "def attack():\n    print('\\x1b[2J\\x1b]0;owned\\x07\\x00')\n    return '\\x1b[31mred\\x00'\n",
        ends="value",
        says="red",
    ),
    Hostile("half a character", "def attack():\n    return '\\ud800 alone'\n", ends="value", says="alone"),
    Hostile(
        "a result by hand",
        'import os\ndef attack():\n    os.write(3, b\'{"value": "by hand"\')\n    os._exit(0)\n',
        ends="error",
    ),
    Hostile(
        "a pickle as a result",
        "import os\ndef attack():\n    os.write(3, b\"cos\\nsystem\\n(S'touch {home}/planted'\\ntR.\")\n    os._exit(0)\n",
        ends="error",
    ),
    Hostile(
        "a pickle as a value",
        "import pickle, os\nclass Evil:\n    def __reduce__(self): return os.system, ('touch {home}/planted',)\ndef attack():\n    return pickle.dumps(Evil()).hex()\n",
        ends="value",
    ),
    Hostile(
        "a result of the wrong shape",
        "import os\ndef attack():\n    os.write(3, b'[1, 2, 3]')\n    os._exit(0)\n",
        ends="error",
    ),
    Hostile(
        "blocks that are not its own",
        'import os\ndef attack():\n    os.write(3, b\'{"value": "x", "blocks": {"block-1": 7, "block-2": "y"}}\')\n    os._exit(0)\n',
        ends="value",
    ),
    Hostile("sys.exit", "import sys\ndef attack():\n    sys.exit(0)\n", ends="error", says="SystemExit"),
    Hostile("os._exit", "import os\ndef attack():\n    os._exit(0)\n", ends="error", says="without a result"),
    Hostile("abort", "import os\ndef attack():\n    os.abort()\n", ends="error", says="without a result"),
    Hostile(
        "closed descriptors",
        "import os\ndef attack():\n    os.closerange(0, 64)\n    return 'x'\n",
        ends="error",
        says="without a result",
    ),
    Hostile(
        "exec of another program",
        "import os\ndef attack():\n    os.execv('/bin/true', ['true'])\n",
        ends="error",
        says="without a result",
    ),
    Hostile(
        "another json",
        "import json\njson.dumps = lambda *a, **k: '{\"value\": \"patched\"}'\njson.JSONEncoder.encode = json.dumps\ndef attack():\n    return {'a': 1}\n",
        ends="any",
    ),
    Hostile(
        "a value that lies",
        "class Liar(str):\n    def __str__(self): raise RuntimeError('no')\n    __repr__ = __str__\ndef attack():\n    return Liar('x')\n",
        ends="any",
    ),
    Hostile(
        "an error that lies",
        "class Liar(Exception):\n    def __str__(self): raise RuntimeError('no')\ndef attack():\n    raise Liar\n",
        ends="error",
    ),
    Hostile("no function", "attack = 7\n", ends="error", says="no function"),
    Hostile("a broken source", "def attack(:\n", ends="error", says="SyntaxError"),
    Hostile(
        "a hook at the end",
        "import atexit, os\natexit.register(lambda: os.write(3, b'forged'))\ndef attack():\n    return 'true'\n",
        ends="value",
        says="true",
    ),
]
_LINGERING = [
    Hostile(
        "a daemon",
        "import os, time\ndef attack():\n    try: child = os.fork()\n    except OSError: return 'held'\n    if child == 0:\n        os.setsid()\n        if os.fork(): os._exit(0)\n        for fd in range(64):\n            try: os.close(fd)\n            except OSError: pass\n        while True: time.sleep(0.05)\n    return 'went on'\n",
    ),
    Hostile(
        "a daemon that holds the pipes",
        "import os, time\ndef attack():\n    try: child = os.fork()\n    except OSError: return 'held'\n    if child == 0:\n        os.setsid()\n        time.sleep(60)\n    return 'went on'\n",
    ),
    Hostile(
        "a shell that waits",
        "import subprocess\ndef attack():\n    try: subprocess.Popen(['sh', '-c', 'sleep 60 & disown; sleep 60'], start_new_session=True)\n    except OSError: return 'held'\n    return 'went on'\n",
    ),
    Hostile(
        "a thread that goes on",
        "import threading, time\ndef attack():\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return 'went on'\n",
        ends="value",
    ),
    Hostile(
        "leaves a file",
        "def attack():\n    for place in ('/tmp/left', '/dev/shm/left', 'left', '/var/tmp/left'):\n        try: open(place, 'w').write('{marker}')\n        except OSError: pass\n    return 'done'\n",
        ends="value",
    ),
]

CORPUS: tuple[Hostile, ...] = (
    *_FILES, *_WRITES, *_CALLS, *_NETWORK, *_LINGERING, *_SECRETS, *_BOMBS, *_FORGERIES
)  # fmt: skip
