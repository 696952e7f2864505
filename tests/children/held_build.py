# Builds a workspace as `learn` does.
import os
import sys
from pathlib import Path

from buildperm.cargo.project import Projects
from buildperm.cargo.supervised_build import SupervisedBuild
from buildperm.policy.grants import Policy

project = Projects(Path(sys.argv[1]), os.environ).open([], default=["check", "-q"])
held = SupervisedBuild(project, Policy("portable", {}, project.metadata.manifest), "learning")
sys.exit(held.run().finished.exit_code)
