"""What Cargo is: metadata, lock file, tool chain, and running it with the stub in place."""
