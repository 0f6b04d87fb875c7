"""
Every decision that takes more than one request, written once.

A flow is a plain generator without I/O or clock: it *yields* a step - an operation to send, a pause to
take, a record to remember - and is *sent* the outcome or *thrown* the error. The drivers in
``client.py``, one for workers and one for triggerers, run any flow, so that both decide alike.
"""
