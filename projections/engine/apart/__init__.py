"""Groups that run in a process and a file of their own, beside the projector.

One that is told by changes reads them from the spool of the generation that it belongs to, which
the projector keeps until the group's file has them; one that reads pages follows the log itself.
Its file lies beside the generation's (`projections.storage.apart`), so that a rebuild makes both,
and a switch shows both.
"""
