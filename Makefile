# Godwit needs Go 1.26; gcc, and the headers of X11, Wayland and OpenGL, for the window
# and for the race detector of its tests. Everything else comes with go.mod. `make help`
# lists what there is.

SHELL := bash
.NOTPARALLEL:
.DELETE_ON_ERROR:

# Every command of go has the same flags, so that the C of the window's driver, which
# takes minutes, is compiled once. no_emoji: ours are in assets. no_animations: a cursor
# that fades in and out draws the window anew twelve times a second, for nobody.
# migrated_fynedo: all that changes a widget runs on the window's thread.
export GOFLAGS := -trimpath -tags=no_emoji,no_animations,migrated_fynedo $(GOFLAGS)

# The headless program is static on every system.
STATIC := CGO_ENABLED=0 go build -ldflags='-s -w'
PLATFORMS := linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64
FUZZTIME ?= 20s
SOAK ?= 10m

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: ## open the window; without a display, the demo
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname -s)" != Linux ]; then \
		$(MAKE) --no-print-directory desktop && exec bin/godwit-desktop; \
	else \
		echo "There is no display here (DISPLAY and WAYLAND_DISPLAY are not set): this is the demo instead of the window."; \
		$(MAKE) --no-print-directory demo; \
	fi

.PHONY: demo
demo: build ## a relay and two people at work on this computer
	bin/godwit demo

.PHONY: build
build: need-go ## build bin/godwit
	$(STATIC) -o bin/godwit ./cmd/godwit

.PHONY: desktop
desktop: need-go need-desktop ## build bin/godwit-desktop, the window (the first time takes minutes)
	CGO_ENABLED=1 go build -ldflags='-s -w' -o bin/godwit-desktop ./cmd/godwit-desktop

.PHONY: cross
cross: need-go ## build the headless program for every system
	@set -e; for p in $(PLATFORMS); do \
		os=$${p%/*} arch=$${p#*/} ext=; [ $$os = windows ] && ext=.exe; \
		echo "bin/godwit-$$os-$$arch$$ext"; \
		GOOS=$$os GOARCH=$$arch $(STATIC) -o bin/godwit-$$os-$$arch$$ext ./cmd/godwit; \
	done

# Where `make install` puts things: PREFIX, below DESTDIR, as packagers know them.
PREFIX ?= /usr/local
ROOT = $(DESTDIR)$(PREFIX)
BIN := bin
APPID := im.godwit.desktop
ICON_SIZES := 16 32 48 64 128 256 512
DOCS := README.md CHANGELOG.md LICENSE THIRD_PARTY.md assets/fonts/OFL.txt assets/emoji/LICENSE-NOTO assets/emoji/LICENSE-EMOJI-DATA
INSTALLED = bin/godwit bin/godwit-desktop share/applications/$(APPID).desktop \
	$(foreach n,$(ICON_SIZES),share/icons/hicolor/$(n)x$(n)/apps/$(APPID).png) share/icons/hicolor/scalable/apps/$(APPID).svg \
	share/man/man1/godwit.1 share/man/man1/godwit-desktop.1 \
	share/bash-completion/completions/godwit share/zsh/site-functions/_godwit share/fish/vendor_completions.d/godwit.fish \
	$(addprefix share/doc/godwit/,$(notdir $(DOCS)))

.PHONY: install
install: build desktop ## install both programs, desktop file, icons, man pages, completions (PREFIX, DESTDIR)
	install -Dm755 -t $(ROOT)/bin $(BIN)/godwit $(BIN)/godwit-desktop
	install -Dm644 -t $(ROOT)/share/applications assets/desktop/$(APPID).desktop
	for n in $(ICON_SIZES); do install -Dm644 assets/desktop/$$n.png $(ROOT)/share/icons/hicolor/$${n}x$$n/apps/$(APPID).png || exit; done
	install -Dm644 -t $(ROOT)/share/icons/hicolor/scalable/apps assets/desktop/$(APPID).svg
	install -Dm644 -t $(ROOT)/share/man/man1 assets/desktop/godwit-desktop.1
	install -Dm644 -t $(ROOT)/share/doc/godwit $(DOCS)
	mkdir -p $(ROOT)/share/bash-completion/completions $(ROOT)/share/zsh/site-functions $(ROOT)/share/fish/vendor_completions.d
	$(BIN)/godwit man >$(ROOT)/share/man/man1/godwit.1
	$(BIN)/godwit completion bash >$(ROOT)/share/bash-completion/completions/godwit
	$(BIN)/godwit completion zsh >$(ROOT)/share/zsh/site-functions/_godwit
	$(BIN)/godwit completion fish >$(ROOT)/share/fish/vendor_completions.d/godwit.fish
	$(refresh)

.PHONY: uninstall
uninstall: ## remove what `make install` put there
	rm -f $(addprefix $(ROOT)/,$(INSTALLED))
	-rmdir $(ROOT)/share/doc/godwit
	$(refresh)

UNIT := lib/systemd/system/godwit-relay.service

.PHONY: relay-install
relay-install: build ## install the program, its man page, its service for systemd and an example of its settings, for a relay (PREFIX, DESTDIR)
	install -Dm755 -t $(ROOT)/bin $(BIN)/godwit
	mkdir -p $(ROOT)/$(dir $(UNIT)) $(ROOT)/share/man/man1
	$(BIN)/godwit man >$(ROOT)/share/man/man1/godwit.1
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' assets/relay/godwit-relay.service >$(ROOT)/$(UNIT)
	chmod 644 $(ROOT)/$(UNIT)
	install -Dm644 assets/relay/config.toml $(ROOT)/share/doc/godwit/relay.toml

.PHONY: relay-uninstall
relay-uninstall: ## remove what `make relay-install` put there, but nothing of what the relay keeps
	rm -f $(ROOT)/bin/godwit $(ROOT)/$(UNIT) $(ROOT)/share/man/man1/godwit.1 $(ROOT)/share/doc/godwit/relay.toml

# Desktops keep a cache of desktop files and icons; a package's DESTDIR has none.
refresh = @[ -n "$(DESTDIR)" ] || { \
	! command -v update-desktop-database >/dev/null || update-desktop-database -q $(PREFIX)/share/applications; \
	! command -v gtk-update-icon-cache >/dev/null || gtk-update-icon-cache -qtf $(PREFIX)/share/icons/hicolor; }

# The fyne tool's desktop file knows no schemes: ours takes its place.
FYNE := go run fyne.io/tools/cmd/fyne@v1.7.4
VERSION = $(shell sed -n 's/^Version = "\(.*\)"/\1/p' FyneApp.toml)

.PHONY: package
package: export XZ_OPT := -T0 -3
package: desktop ## bin/Godwit.tar.xz for Linux, made by the fyne tool
	rm -rf bin/package && mkdir -p bin/package/tree
	cd cmd/godwit-desktop && $(FYNE) package --target linux --executable $(CURDIR)/bin/godwit-desktop --icon $(CURDIR)/assets/desktop/512.png --name Godwit --app-id $(APPID) --app-version $(VERSION)
	mv cmd/godwit-desktop/Godwit.tar.xz bin/package
	tar -xJf bin/package/Godwit.tar.xz -C bin/package/tree
	find bin/package/tree -name $(APPID).desktop -exec install -m644 assets/desktop/$(APPID).desktop '{}' ';'
	grep -rq '^MimeType=x-scheme-handler/godwit;' bin/package/tree --include=$(APPID).desktop
	tar -cJf bin/Godwit.tar.xz --owner=0 --group=0 -C bin/package/tree .
	rm -rf bin/package

.PHONY: cross-desktop
cross-desktop: need-go ## build the desktop program for Windows, by mingw-w64 (the first time takes minutes)
	@.ci/need x86_64-w64-mingw32-gcc=gcc-mingw-w64-x86-64
	CGO_ENABLED=1 GOOS=windows GOARCH=amd64 CC=x86_64-w64-mingw32-gcc go build -ldflags='-s -w -H=windowsgui' -o bin/godwit-desktop-windows-amd64.exe ./cmd/godwit-desktop

.PHONY: screens
screens: build desktop ## two people at two windows, driven by keys; pictures into assets/screenshots
	@.ci/need Xvfb=xvfb xdotool=xdotool import=imagemagick
	.ci/screens

.PHONY: bench
bench: build ## measure the real program: lines of `name value unit`
	@bin/godwit bench

.PHONY: bench-desktop
bench-desktop: build desktop ## measure the window, on a screen in memory: lines of `name value unit` (takes two minutes)
	@.ci/need Xvfb=xvfb xdotool=xdotool
	@go run ./app/ui/bench

.PHONY: test
test: fmt vet lint vuln unit ## everything that has to hold before a change is taken

.PHONY: fmt
fmt: need-go ## is everything formatted?
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt would change:"; echo "$$bad"; exit 1; }

.PHONY: vet
vet: need-go need-desktop ## go vet
	@# The window first: one package of its driver takes minutes on one processor.
	go vet ./cmd/godwit-desktop ./...
	@# What Windows and macOS compile of the desktop instead of what is vetted above.
	for os in windows darwin; do GOOS=$$os CGO_ENABLED=0 go vet ./app/desktop/autostart ./app/desktop/notify ./app/desktop/tray || exit; done

.PHONY: lint
lint: need-go need-desktop ## staticcheck
	go tool staticcheck ./...

.PHONY: vuln
vuln: need-go need-desktop ## govulncheck, where its database can be reached
	@.ci/vuln

# With the race detector; then, without it, the packages that have long runs of chance
# or stories of months, which it would slow down sixfold: under the detector they are
# shortened or left out (race_on_test.go). The corpora of the fuzz targets run as tests.
#
# SQLite and its cipher (Go made from WebAssembly, and arithmetic: one goroutine a
# connection) are not instrumented, which makes what uses the database six times as fast.
# All of that module is left out, not a part: the detector keeps a stack of its own, which
# grew without end where one half called the other. Its runtime also fails now and then
# when such code is preempted by a signal, so that is off. The window's driver (C, minutes
# to compile) is not compiled once more for the detector; all above it is.
#
# The tests that start processes and wait for them come first, with more at once than there
# may be processors: others are built and run beside them. Then come those that take longest,
# so that none of them is left alone at the end. `make vet` has vetted everything.
RACE := GODEBUG=asyncpreemptoff=1 CGO_ENABLED=1 go test -race -vet=off -p 3 \
	-gcflags=github.com/ncruces/...=-race=false \
	-gcflags=lukechampine.com/adiantum/...=-race=false

.PHONY: unit
unit: need-go need-gcc need-desktop need-screen ## all tests
	$(RACE) -timeout 15m ./cmd/godwit/soak ./cmd/godwit ./app/chat ./p2p/dht $$(go list ./... | grep -v /cmd/godwit-desktop)
	go test -vet=off -timeout 15m ./cmd/godwit-desktop $$(find . -name race_off_test.go -exec dirname {} ';' | sort)

# Also part of all tests, for three minutes.
.PHONY: soak
soak: need-go ## a relay killed 50 times; people under faults for SOAK (10m); SEED=N repeats the faults of a run
	KILLS=50 go test -run TestKilled -count=1 -v ./p2p/relay
	SOAK=$(SOAK) SEED=$(SEED) go test -run TestSoak -count=1 -v -timeout 0 ./cmd/godwit/soak

# The store that several relays share, on servers of its own in processes of their own.
.PHONY: test-cluster
test-cluster: need-go ## the shared store, on three servers that are killed one after the other
	go build -o bin/nats-server github.com/nats-io/nats-server/v2
	go vet $(CLUSTER) ./p2p/mailbox/jetstream
	GODWIT_NATS_SERVER=$(CURDIR)/bin/nats-server go test $(CLUSTER) -count=1 -v -timeout 15m ./p2p/mailbox/jetstream
CLUSTER = -tags=cluster,no_emoji,no_animations,migrated_fynedo

# Part of all tests where these programs are.
.PHONY: test-operator
test-operator: need-go ## what systemd, an OpenMetrics parser and Chromium say of a relay; pictures of its page into bin/pages
	@.ci/need systemd-analyze=systemd chromium=chromium
	@/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null || .ci/need prometheus_client=python3-prometheus-client
	mkdir -p bin/pages
	GODWIT_PICTURES=$(CURDIR)/bin/pages go test -count=1 -v -run 'TestUnitForSystemd|TestMetrics|TestPageInABrowser' ./cmd/godwit ./p2p/relay

.PHONY: fuzz
fuzz: need-go ## each fuzz target for FUZZTIME (20s)
	@set -e; for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: generate
generate: need-go ## make the files that are made (THIRD_PARTY.md, sizes of the icon, English sentences)
	go test ./cmd/godwit -run TestThirdParty -update
	go test ./assets/desktop -run TestIconSizes -update
	go test ./app/ui/lang -run TestEveryEnglishSentence -update

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: need-go need-gcc need-desktop need-screen
need-go:
	@.ci/need go=golang-go git=git
need-gcc:
	@.ci/need gcc=gcc,libc6-dev
# What the window is linked with: other systems have it by themselves.
need-desktop: need-gcc
	@[ "$$(uname -s)" != Linux ] || .ci/need pkg-config=pkg-config pkg:gl=libgl1-mesa-dev pkg:egl=libegl1-mesa-dev \
		pkg:x11=xorg-dev pkg:xcursor=xorg-dev pkg:xrandr=xorg-dev pkg:xinerama=xorg-dev pkg:xi=xorg-dev pkg:xxf86vm=xorg-dev \
		pkg:wayland-client=libwayland-dev pkg:xkbcommon=libxkbcommon-dev
# A screen in memory, on which the window is started once.
need-screen:
	@[ "$$(uname -s)" != Linux ] || .ci/need Xvfb=xvfb
