"""The distilled law: assembled, refitted, exported, let run."""
