"""Runs the checks of one client and says of each whether it passed, failed or was skipped."""

import sys
import traceback
from collections.abc import Callable


class Skip(Exception):
    """The server does not have what the check needs; the text says what."""


def skip_without_tools(error: Exception) -> None:
    """A model whose template shows no tools has no parser, which its server says in a 400."""
    if "no parser of tool calls" in str(error):
        raise Skip("the model has no parser of tool calls") from error
    raise error


def run(checks: list[Callable[[], None]]) -> None:
    """Ends the process: 0 when nothing failed."""
    failed = 0
    for check in checks:
        try:
            check()
            print(f"  passed  {check.__name__}", flush=True)
        except Skip as skip:
            print(f"  SKIPPED {check.__name__}: {skip}", flush=True)
        except Exception:  # noqa: BLE001 - whatever goes wrong is what is reported
            failed += 1
            traceback.print_exc()
            print(f"  FAILED  {check.__name__}", flush=True)
    sys.exit(1 if failed else 0)


def arguments() -> tuple[str, str]:
    """The server's address and the model's name."""
    return sys.argv[1], sys.argv[2]
