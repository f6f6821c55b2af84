"""`python -m pypim` runs the same program as the `pypim` command."""

from pypim.cli.main import main

if __name__ == "__main__":
    main()
