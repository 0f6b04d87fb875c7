"""
Every decision that takes more than one request, written once.

A flow is a plain generator without I/O or clock. It *yields* a step - an operation to send, a pause to
take, a record to save - and is *sent* the outcome or *thrown* the error. ``client.py`` has two drivers,
one for workers and one for triggerers. Both run any flow, so both decide alike.
"""
