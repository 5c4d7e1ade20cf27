"""`make chaos`: many items while everything fails; then an audit of each."""

import sys

from deploy.local.environment import begin_again
from tests.chaos.command import chaos

if __name__ == "__main__":
    begin_again("tests.chaos")
    chaos(sys.argv[1:], prog_name="make chaos")
