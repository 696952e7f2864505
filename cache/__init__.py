"""Results of build scripts, kept with all that went in, restored where that is the same."""
