"""Two namespaces, the crowd of processes on the host, one beyond it, and one that watches."""

from contextlib import contextmanager

from tests.netns import Namespace, veth
from tests.scenarios.actors import Actor
from tests.scenarios.situations import FAR, FAR6, HOST, HOST6, LIMITS, NEAR6

CROWD = 50


class Stage:
    """Where situations are played, one after the other."""

    def __init__(self):
        self.crowd, self._namespaces = [], []
        self.far = self._watcher = None

    def open(self):
        """Hire everybody."""
        self.crowd += [Actor(f"app-{n}") for n in range(CROWD)]
        self.far, self._watcher = Actor("far"), Actor("watcher")

    def close(self):
        """Send everybody home."""
        for actor in (*self.crowd, self.far, self._watcher):
            if actor is not None:
                actor.end()
        self._leave_namespaces()

    def move(self):
        """Everybody into new namespaces: nothing of before is left, not even connections that wait."""
        self._leave_namespaces()
        self._namespaces = [Namespace(), Namespace()]
        host, far = self._namespaces
        veth(host, far)
        far.sysctl("net.ipv6.conf.all.accept_dad", "0")
        commands = [f"addr add {a}/24 dev vb" for a in FAR[1:]]
        commands += [f"addr add {a}/64 dev vb nodad" for a in (*FAR6, *NEAR6)]
        far.tool("sh", "-c", "\n".join(f"ip {command}" for command in commands))
        host.ip("addr", "add", f"{HOST6}/48", "dev", "va", "nodad")
        for actor in (*self.crowd, self._watcher):
            actor.start("enter", host)
        self.far.do("enter", far)
        for actor in (*self.crowd, self._watcher):
            actor.result()
        assert HOST == "10.77.0.1"

    def clear(self):
        """Everybody closes everything."""
        everybody = (*self.crowd, self.far, self._watcher)
        for actor in everybody:
            actor.start("leave")
        for actor in everybody:
            actor.result()
        self._is_watched = False

    _is_watched = False

    def watch(self, settings):
        """The first check; the situation goes on in the window that begins with it."""
        self._watcher.do("watch", settings)
        self._is_watched = True

    def report(self):
        """The report that is judged: of the second check if there was a first one."""
        if self._is_watched:
            return self._watcher.do("check", 0.15)
        return self._watcher.do("watch", LIMITS)

    def far_accepts(self, actor, plan):
        """The far side takes the connections that an actor opens."""
        actor.start("connect", plan)
        self.far.do("accept", len(plan))
        actor.result()

    def bustle(self, rng, count):
        """What goes on anyway: some have a connection or two to somewhere."""
        port = rng.randrange(31000, 32000)
        self.far.do("listen", FAR[0], port, 256)
        for actor in rng.sample(self.crowd, count):
            self.far_accepts(actor, [(None, FAR[0], port)] * rng.randrange(1, 3))

    def _leave_namespaces(self):
        for namespace in self._namespaces:
            namespace.close()
        self._namespaces = []


@contextmanager
def opened():
    """A stage, and nothing of it afterwards."""
    stage = Stage()
    try:
        stage.open()
        yield stage
    finally:
        stage.close()
