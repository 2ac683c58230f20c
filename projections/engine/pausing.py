"""Pausing what is fed, by name or altogether, and going on."""

from collections.abc import Collection

from events.errors import BadInput
from projections.engine.feeder import Feeder
from projections.storage import deadletters


class Pausing(Feeder):
    """Feeds what is not paused; the arguments are those of `Feeder`."""

    def pause(self, names: Collection[str] = (), reason: str = "paused on request") -> None:
        """Apply nothing to these projections (none named: to all) until `resume`.

        Raises:
            BadInput: one of them is not fed.
        """
        with self.exclusively():
            if not names:
                self.paused = reason
                return
            live = self.live()
            if unknown := set(names) - set(live.names):
                raise BadInput(f"not fed now: {', '.join(sorted(unknown))}")
            live.paused.update(dict.fromkeys(names, reason))

    def resume(self, names: Collection[str] = ()) -> None:
        """Go on after a pause; what is parked already does not count towards the next one."""
        with self.exclusively():
            live = self.live()
            chosen = set(names) or set(live.names)
            last = deadletters.last_id(live.connection)
            self._settled |= dict.fromkeys(chosen, last)
            live.paused = {n: reason for n, reason in live.paused.items() if n not in chosen}
            if not names:
                self.paused = None
