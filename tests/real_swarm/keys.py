"""Reading the encrypted logs of a throwaway swarm of one's own.

Every agent gets the swarm's key in a vault file that it deletes once it has read it, and the vault's own
key in its environment: root can look at both while the agent is still importing.
"""

import base64
import json

import psutil
from Crypto.Cipher import AES
from matrixswarm.core.class_lib.logging.logger import Logger


class LogKey:
    """The key to the logs below ``universe`` (``/matrix/<name>``).

    `catch` must be called right after the launch of the matrix node, when its vault is still there; as the
    ``progress`` of a `Swarm` it is.
    """

    def __init__(self, universe):
        self.universe = universe
        self.key = None

    def catch(self, step=""):
        """Look for a vault that was not read yet."""
        for pod in self.universe.glob("latest/pod/*"):
            self.key = self.key or _swarm_key(pod)

    def read(self, uid):
        """The text of the node's log, a JSON object a line; ``""`` if it has none yet."""
        assert self.key, "no vault was caught"
        log = self.universe / "latest" / "comm" / uid / "logs" / "agent.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return "\n".join(Logger.decrypt_log_line(line, self.key) for line in lines)


def _swarm_key(pod):
    try:
        vault = {
            name: base64.b64decode(part) for name, part in json.loads((pod / "vault").read_text()).items()
        }
        pid = json.loads((pod / "boot.json").read_text())["pid"]
        cipher = AES.new(
            base64.b64decode(psutil.Process(pid).environ()["SYMKEY"]), AES.MODE_GCM, vault["nonce"]
        )
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):  # read already, or not ready yet
        return None
    payload = json.loads(cipher.decrypt_and_verify(vault["ciphertext"], vault["tag"]))["payload"]
    return base64.b64decode(payload["swarm_key"])
