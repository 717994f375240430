"""A pytest plugin that plants a bug of the ingress in the harness: PYTEST_PLUGINS=planted.in_ingress, PLANTED_BUG=NAME.

Environment variables, since they reach the workers of a run as well.
"""

import os

from planted import base

base.put_in(os.environ["PLANTED_BUG"], "ingress")
