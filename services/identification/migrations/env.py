from shell.store.migrate import run_environment

run_environment()
