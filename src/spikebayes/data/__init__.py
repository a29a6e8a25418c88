"""Where data enters: tables and benchmark sets, checked once, here.

Pairs of drugs on cell lines have a package of their own, ``spikebayes.data.combo``.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.data.encoding import encode_features, encode_target, encode_training, outside_training
    from spikebayes.data.fetching import default_folder
    from spikebayes.data.hyperspectral import HyperspectralPixels, load_jasper_ridge
    from spikebayes.data.images import PUBLISHED_ROWS, ImageSet, load_images
    from spikebayes.data.inference import infer_schema
    from spikebayes.data.schema import TableSchema
    from spikebayes.data.tables import read_table, split_rows, write_table
    from spikebayes.data.uci import Split, load_split

__all__ = [
    "PUBLISHED_ROWS",
    "HyperspectralPixels",
    "ImageSet",
    "Split",
    "TableSchema",
    "default_folder",
    "encode_features",
    "encode_target",
    "encode_training",
    "infer_schema",
    "load_images",
    "load_jasper_ridge",
    "load_split",
    "outside_training",
    "read_table",
    "split_rows",
    "write_table",
]

import_late(
    __name__,
    {
        "encoding": ["encode_features", "encode_target", "encode_training", "outside_training"],
        "fetching": ["default_folder"],
        "hyperspectral": ["HyperspectralPixels", "load_jasper_ridge"],
        "images": ["ImageSet", "PUBLISHED_ROWS", "load_images"],
        "inference": ["infer_schema"],
        "schema": ["TableSchema"],
        "tables": ["read_table", "split_rows", "write_table"],
        "uci": ["Split", "load_split"],
    },
)
