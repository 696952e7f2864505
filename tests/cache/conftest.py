"""What is kept of build scripts, in folders of each test's own."""
