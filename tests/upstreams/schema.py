"""Holds the session API against its own description, with schemathesis.

Run: CALLGATE=PROGRAM python tests/upstreams/schema.py
"""

import os
import pathlib
import shutil
import subprocess
import sys

from stage import ROOT, Callgate, folder, free_port, quiet

# At most, for each of the eight operations: more than 2,000 in all at full size.
EXAMPLES = {"small": 12, "full": 300}[os.environ.get("CALLGATE_TEST_SIZE", "small")]
TABLE = """[{{
  "pattern": "lend", "forward": "http://127.0.0.1:{port}", "limits": {{ "timeoutMs": 600000 }}
}}]"""


def main():
    lender = free_port()
    program = shutil.which("schemathesis", path=pathlib.Path(sys.executable).parent)
    with folder() as place:
        gate = Callgate(TABLE.format(port=lender), place)
        secrets = gate.folder / "secrets"
        try:
            hooks = {
                "SCHEMATHESIS_HOOKS": str(pathlib.Path(__file__).with_name("hooks.py")),
                "LENDER": str(lender),
                "PUBLIC": str(gate.public),
                "SECRETS": str(secrets),
            }
            words = [
                program, "run", str(ROOT / "src/admin/session_api/openapi.json"),
                "--url", f"http://127.0.0.1:{gate.internal}",
                "--max-examples", str(EXAMPLES), "--generation-deterministic",
                # Which paths, handlers and parameters the rows of a table have, no schema can say.
                "--exclude-checks", "positive_data_acceptance",
                *sys.argv[1:],
            ]
            ended = subprocess.run(words, env={**quiet(), **hooks}, cwd=place, check=False)
            lent = secrets.read_text().split()
            assert lent and gate.secrets_in_log(lent) == [], "the log tells a capability"
            print(f"{len(lent)} capabilities were lent, and the log tells none")
            sys.exit(ended.returncode)
        finally:
            gate.kill()


if __name__ == "__main__":
    main()
