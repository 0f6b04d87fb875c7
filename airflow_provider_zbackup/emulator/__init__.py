"""
A local emulator of Zilliz Cloud, to try and to test DAGs without an account.

Its API imports nothing from the rest of this package. So a mistake of the package cannot hide in the
emulator.

* ``python -m airflow_provider_zbackup.emulator`` serves it. ``--help`` shows the options and the admin API.
* :func:`serve` serves it inside a test. The test can change the clock, the faults and the state of its
  :class:`ControlPlane`.

Where to find things:

* ``api/``: the operations of the REST API
* ``control_plane.py``: the state, and the rules that all operations share
* ``records.py``, ``jobs.py``: the parts of the state
* ``seed.py``: the state at the start
* ``data_plane/``: the rows of the collections
* ``faults.py``: what can go wrong
* ``admin.py``: the admin API, which changes the state and adds faults
* ``console.py``: the web pages
* ``app.py``, ``server.py``: HTTP and the socket
"""

try:
    from airflow_provider_zbackup.emulator.control_plane import ControlPlane, Settings
    from airflow_provider_zbackup.emulator.data_plane import open_data
    from airflow_provider_zbackup.emulator.faults import FaultRule
    from airflow_provider_zbackup.emulator.jobs import JobPlan
    from airflow_provider_zbackup.emulator.server import RunningEmulator, serve
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("jinja2", "starlette", "uvicorn"):
        raise
    raise ModuleNotFoundError(
        "The emulator needs its extra: pip install 'airflow-provider-zbackup[emulator]'", name=error.name
    ) from None

__all__ = ["ControlPlane", "FaultRule", "JobPlan", "RunningEmulator", "Settings", "open_data", "serve"]
