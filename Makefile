# Every target is a function of make.py, so that Windows (py make.py report) does the same.
PYTHON ?= python3

.PHONY: setup report quick test lab bench lock
setup report quick test lab bench lock:
	@$(PYTHON) make.py $@
