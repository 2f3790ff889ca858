"""Imported as the last module before a process forks: what is there stays there, and no collection in a child copies the pages it lies on."""

import gc

gc.collect()
gc.freeze()
