# Everything is installed into $(VENV); nothing outside this folder changes. pip runs with your own index settings.
VENV ?= .venv
PYTHON ?=
SEEDS ?= 500
PYTEST ?=

bin := $(VENV)/bin

.NOTPARALLEL:
.PHONY: help demo test check coverage bench simulate FORCE

help:
	@echo 'make demo              install into $(VENV), then start the bin, its world and a points server'
	@echo 'make test              install, then run every test; PYTEST="-k ledger" passes arguments on'
	@echo 'make check             formatting, lint, types, import contract'
	@echo 'make coverage          every branch of the core and of the parsers, each from its own test file'
	@echo 'make bench             the figures of the README, as JSON'
	@echo 'make simulate SEEDS=N  N seeded runs in virtual time with every fault'
	@echo 'Any of them: PYTHON=/path/to/python3.13 chooses the Python (3.11 or newer), VENV=folder the environment.'

demo: $(VENV)/.installed-server
	@exec $(bin)/kiosk demo

# Four at once on any machine: most of these tests wait for real processes.
test: $(VENV)/.installed-dev
	@exec $(bin)/python -m pytest -n 4 --dist worksteal $(PYTEST)

check: $(VENV)/.installed-dev
	$(bin)/python -m ruff format --check .
	$(bin)/python -m ruff check .
	$(bin)/python -m mypy
	$(bin)/python $(bin)/lint-imports

# One run a module: what another module's tests happen to reach does not count.
coverage: $(VENV)/.installed-dev
	@set -e; for module in kiosk/core/*.py drivers/*.py; do \
	  case $$module in */__init__.py|*/effects.py|*/settings.py|*/errors.py|*/readings.py) continue;; esac; \
	  test=$$(echo $$module | sed 's,^kiosk/core/,tests/core/test_,; s,^drivers/,tests/drivers/test_,'); \
	  echo "$$module"; \
	  $(bin)/python -m pytest -q --no-header --no-summary $$test --cov-report=term-missing --cov-branch --cov-fail-under=100 \
	    --cov=$$(echo $${module%.py} | tr / .); \
	done

bench: $(VENV)/.installed-dev
	@exec $(bin)/python -m tests.bench

simulate: $(VENV)/.installed-dev
	@exec $(bin)/python -m tests.simulation --seeds $(SEEDS)

# An installation is sound while it names this folder (an editable install holds the path) and its Python runs, is the one asked for
# and finds a compiled package: the distribution may have replaced or removed it since.
version = import sys; print("%d.%d" % sys.version_info[:2])
define sound
test "$$(cat $(VENV)/.folder 2>/dev/null)" = "$$(pwd -P)" \
&& has=$$($(bin)/python -c 'import msgspec; $(version)' 2>/dev/null) \
&& { test -z '$(PYTHON)' || test "$$has" = "$$($(PYTHON) -c '$(version)' 2>/dev/null)"; }
endef
ifeq ($(filter help,$(or $(MAKECMDGOALS),help)),)
ifneq ($(shell $(sound) && echo yes),yes)
$(VENV)/.installed-server $(VENV)/.installed-dev: FORCE
endif
endif

$(VENV)/.installed-server: pyproject.toml constraints.txt
	@$(environment)
	@$(call install,server)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	@$(environment)
	@$(call install,dev)
	@touch $@ $(VENV)/.installed-server

# The newest Python that runs, is new enough and is complete. Each is tried: a pyenv shim may exist and fail, Debian may lack ensurepip.
# Messages go to standard error, so that `make bench` prints nothing but JSON to standard output.
define environment
if $(bin)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
   && { test -z '$(PYTHON)' || test "$$($(bin)/python -c '$(version)')" = "$$($(PYTHON) -c '$(version)')"; }; then exit 0; fi; \
for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
  has=$$("$$python" -c '$(version)' 2>/dev/null) || { tried="$$tried $$python (does not run)"; continue; }; \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { tried="$$tried $$python (is $$has)"; continue; }; \
  lacks=$$("$$python" -c 'import ensurepip, venv, sqlite3, ssl' 2>&1) && { found=$$python; break; }; \
  lacking="$$python $$has: $${lacks##*Error: }"; \
done; \
if [ -z "$$found" ] && [ -n "$$lacking" ]; then \
  echo "$$lacking. Remedy on Debian and Ubuntu: apt install python3-venv; then run make again." >&2; exit 1; \
elif [ -z "$$found" ]; then \
  echo "No Python 3.11 or newer: tried$$tried. Remedy: install one (Debian 12 or newer: apt install python3 python3-venv)" \
       "or name one: make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)" >&2; exit 1; \
fi; \
echo "==> Making $(VENV) with Python $$has ($$found)" >&2; \
if [ -f $(VENV)/pyvenv.cfg ]; then clear=--clear; fi; \
"$$found" -m venv $$clear $(VENV)
endef

# Without build isolation: setuptools comes from the same index at its pinned version, and the build asks for nothing more.
# Wheels only: a missing wheel is said at once, instead of a compiler being looked for.
pip = $(bin)/python -m pip install --disable-pip-version-check --only-binary :all: -c constraints.txt
define install
rm -f $(VENV)/.folder; \
echo "==> Installing battery-kiosk[$(1)] at the versions of constraints.txt (details: $(VENV)/install.log)" >&2; \
{ $(pip) setuptools && $(pip) --no-build-isolation -e '.[$(1)]' && pwd -P >$(VENV)/.folder; } 2>&1 | tee $(VENV)/install.log \
| while read -r word name rest; do \
  case "$$word $$name" in \
    Collecting*|Processing*) name=$${name##*/}; name=$${name%%[<>=!~;[]*}; echo "    $${name%%-[0-9]*}" ;; \
    "Installing collected") echo "==> Unpacking" ;; \
    ERROR:*|error:*|"WARNING: Retrying") echo "$$word $$name $$rest" ;; \
  esac; \
done >&2; \
if [ ! -f $(VENV)/.folder ]; then \
  echo "Installing failed: $(VENV)/install.log says why. Remedy: check the network and your index settings ($(bin)/python -m pip" \
       "config list), then run make again." >&2; exit 1; \
fi; \
echo "==> Installed" >&2
endef
