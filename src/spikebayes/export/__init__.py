"""Export of networks to other simulators and chips, and import of theirs."""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.export.certificate import Certificate
    from spikebayes.export.nengo_network import to_nengo
    from spikebayes.export.nir_reader import from_nir
    from spikebayes.export.nir_writer import to_nir

__all__ = ["Certificate", "from_nir", "to_nengo", "to_nir"]

import_late(
    __name__,
    {
        "certificate": ["Certificate"],
        "nengo_network": ["to_nengo"],
        "nir_reader": ["from_nir"],
        "nir_writer": ["to_nir"],
    },
)
