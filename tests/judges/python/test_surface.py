"""Every public operation is called by some test, or stands in `EXCLUDED` with the reason."""

import surface
from excluded import EXCLUDED


def test_every_operation_is_called_or_excluded():
    everything = surface.everything()
    unknown = set(EXCLUDED) - {tuple(name) for _, *name in everything}
    assert not unknown, f"excluded, but the SDKs have no such operations: {sorted(unknown)}"
    missing = [(kind, *name) for kind, *name in sorted(everything - surface.called) if tuple(name) not in EXCLUDED]
    assert not missing, f"neither called nor excluded: {missing}"
    stale = [name for _, *name in sorted(surface.called) if tuple(name) in EXCLUDED]
    assert not stale, f"excluded, but called: {stale}"
