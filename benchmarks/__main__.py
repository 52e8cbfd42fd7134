"""Run all benchmarks at full size: ``python -m benchmarks``."""

from __future__ import annotations

from benchmarks import epoch_time, small_fits, startup, tables

if __name__ == "__main__":
    epoch_time.main()
    startup.main()
    small_fits.main([])
    tables.main()
