from common.migrate import run_environment

run_environment()
