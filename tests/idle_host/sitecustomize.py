"""Makes every Python that finds this on its path believe that the host is idle; see tests/isolated.py."""

import os

os.getloadavg = lambda: (0.0, 0.0, 0.0)
