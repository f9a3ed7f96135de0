package env

// kind is what a value of the manifest is.
type kind int

const (
	text    kind = iota // string
	flag                // boolean
	list                // array of strings
	file                // string: path relative to the manifest that says it
	fixed               // table of known keys
	named               // table of keys that the user chooses
	version             // string, or table of from and path
)

// node describes one value of the manifest.
type node struct {
	kind   kind
	check  func(string) (string, error) // text, list and named of text: the value as it is kept
	repeat bool                         // list: an element may occur twice
	fields map[string]*node             // fixed
	key    func(string) error           // named
	each   *node                        // named
}

func texts(check func(string) (string, error)) *node { return &node{kind: text, check: check} }
func lists(check func(string) (string, error)) *node { return &node{kind: list, check: check} }
func tables(fields map[string]*node) *node           { return &node{kind: fixed, fields: fields} }

// manifestSchema describes toolchain.toml. It is the only list of its keys.
func manifestSchema() *node {
	sections := overridable()
	target := overridable()
	target["mix_env"] = texts(checkMixEnv)
	fields := map[string]*node{
		"extends":   {kind: file},
		"platforms": lists(checkPlatform),
		"hex":       hexSchema(),
		"platform": tables(map[string]*node{
			"amd64": tables(sections),
			"arm64": tables(sections),
		}),
		"target": {kind: named, key: checkTarget, each: tables(target)},
	}
	for name, n := range sections {
		fields[name] = n
	}
	return tables(fields)
}

// overridable describes the sections that platforms and targets may override.
func overridable() map[string]*node {
	debs := lists(checkDebianPackage)
	return map[string]*node{
		"toolchain": tables(map[string]*node{
			"otp":     texts(checkVersion),
			"elixir":  texts(checkVersion),
			"openssl": texts(checkVersion),
			"hex":     texts(checkVersion),
			"rebar3":  texts(checkVersion),
			"from":    texts(oneOf("debian")),
		}),
		"base": tables(map[string]*node{
			"distribution":  texts(oneOf("debian")),
			"suite":         texts(checkSuite),
			"snapshot":      texts(checkDate),
			"packages":      debs,
			"allow_expired": lists(checkSuite),
			"keyring":       {kind: file},
			"components":    lists(checkSuite),
		}),
		"nif": {kind: named, key: checkApp, each: tables(map[string]*node{
			"build":   debs,
			"runtime": debs,
		})},
		"release": tables(map[string]*node{
			"name":       texts(checkReleaseName),
			"version":    {kind: version},
			"mix_env":    texts(checkMixEnv),
			"mix_target": texts(checkMixEnv),
		}),
		"image": imageSchema(debs),
	}
}

func imageSchema(debs *node) *node {
	return tables(map[string]*node{
		"repository":      texts(checkRepository),
		"ports":           lists(checkPort),
		"user":            texts(checkUser),
		"allow_root":      {kind: flag},
		"env":             {kind: named, key: checkImageEnv, each: texts(checkText)},
		"labels":          {kind: named, key: checkLabel, each: texts(checkText)},
		"volumes":         lists(checkVolume),
		"packages":        debs,
		"shell":           {kind: flag},
		"ca_certificates": {kind: flag},
		"timezones":       {kind: flag},
		"cmd":             {kind: list, check: checkText, repeat: true},
		"stop_signal":     texts(checkSignal),
	})
}

func hexSchema() *node {
	return tables(map[string]*node{
		"repos": {kind: named, key: checkHexRepo, each: tables(map[string]*node{
			"url":        texts(checkURL),
			"public_key": {kind: file},
			"auth_env":   texts(checkEnvName),
		})},
		"plugins": {kind: named, key: checkHexPackage, each: texts(checkSemver)},
	})
}
