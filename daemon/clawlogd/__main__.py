"""``python -m clawlogd``."""

from clawlogd.main import main

if __name__ == "__main__":
    main()
