"""
A local Zilliz Cloud control plane, to try and to test DAGs without an account.

It knows nothing of the rest of this package, so that it is an independent witness of what the package sends.

* ``python -m airflow_provider_zbackup.emulator`` serves it; ``--help`` tells the rest.
* :func:`serve` does the same inside a test, with a :class:`ControlPlane` whose clock, faults and state the
  test can reach.

Where to look: ``api/`` has the operations of the REST API, ``control_plane.py`` the state and the rules they
share, ``records.py`` and ``jobs.py`` what that state is made of, ``seed.py`` what is there from the start,
``faults.py`` what can go wrong, ``admin.py`` how to ask for it over HTTP, ``console.py`` the web pages,
``app.py`` the HTTP around it all and ``server.py`` the socket.
"""

from airflow_provider_zbackup.emulator.control_plane import ControlPlane, Settings
from airflow_provider_zbackup.emulator.faults import FaultRule
from airflow_provider_zbackup.emulator.jobs import JobPlan
from airflow_provider_zbackup.emulator.server import RunningEmulator, serve

__all__ = ["ControlPlane", "FaultRule", "JobPlan", "RunningEmulator", "Settings", "serve"]
