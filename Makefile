# Everything a contributor types. CI runs the same.

export CGO_ENABLED = 0
GO ?= go

.PHONY: build check test nightly matrix demo bench clean

build: ## the program, bin/retort
	$(GO) build -trimpath -o bin/retort ./cmd/retort

check: ## formatting, vet, and what golangci-lint finds if it is installed
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'gofmt would change the files above'; exit 1; }
	$(GO) vet ./...
	@if command -v golangci-lint > /dev/null; then golangci-lint run; fi

test: ## the tests; end-to-end ones too where this machine can run them
	sh internal/fixture/test.sh

nightly: ## every test, those that take long too
	RETORT_NIGHTLY=1 sh internal/fixture/test.sh

matrix: ## every toolchain from source, each twice: half a day
	RETORT_E2E=1 RETORT_TOOLCHAINS=all $(GO) test -count=1 -timeout 24h ./cmd/retort -run TestE2E/Toolchain -v

demo: build ## builds examples/hello into dist
	bin/retort -C examples/hello lock --repair
	bin/retort -C examples/hello build -o $(CURDIR)/dist

bench: build ## the figures of docs/benchmarks.md
	sh internal/fixture/bench.sh

clean:
	rm -rf bin dist examples/*/dist
