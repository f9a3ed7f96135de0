package env

import "maps"

// kind is what a value of the manifest is.
type kind int

const (
	textKind     kind = iota // string
	flagKind                 // boolean
	listKind                 // array of strings
	fileKind                 // string: path relative to the manifest that says it
	fixedKind                // table of known keys
	namedKind                // table of keys that the user chooses
	versionKind              // string, or table of from and path
	toolKind                 // string: a tool's version; or table of known keys
	patternsKind             // array of strings: patterns relative to the manifest that says them
)

// node describes one value of the manifest.
type node struct {
	kind   kind
	check  func(string) (string, error) // text, list and named of text: the value as it is kept
	repeat bool                         // list: an element may occur twice
	fields map[string]*node             // fixed, tool
	key    func(string) error           // named
	each   *node                        // named
}

func texts(check func(string) (string, error)) *node { return &node{kind: textKind, check: check} }
func lists(check func(string) (string, error)) *node { return &node{kind: listKind, check: check} }
func tables(fields map[string]*node) *node           { return &node{kind: fixedKind, fields: fields} }

// manifestSchema describes toolchain.toml. It is the only list of its keys.
func manifestSchema() *node {
	sections := overridable()
	platform := overridable()
	platform["method"] = texts(oneOf(MethodCross, MethodNative, MethodEmulate))
	target := overridable()
	for _, key := range targetShorthands {
		target[key] = target["release"].fields[key]
	}
	fields := map[string]*node{
		"extends":   {kind: fileKind},
		"platforms": lists(checkPlatform),
		"hex":       hexSchema(),
		"matrix":    matrixSchema(),
		"platform": tables(map[string]*node{
			"amd64": tables(platform),
			"arm64": tables(platform),
		}),
		"target": {kind: namedKind, key: checkTarget, each: tables(target)},
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
		"toolchain": toolchainSchema(),
		"base": tables(map[string]*node{
			"distribution":  texts(oneOf("debian")),
			"suite":         texts(checkSuite),
			"snapshot":      texts(checkDate),
			"packages":      debs,
			"allow_expired": lists(checkSuite),
			"keyring":       {kind: fileKind},
			"components":    lists(checkSuite),
		}),
		"generate": {kind: namedKind, key: checkGenerate, each: tables(map[string]*node{
			"packages": debs,
			"run":      {kind: listKind, check: checkCommand, repeat: true},
			"inputs":   lists(checkPattern),
			"outputs":  lists(checkOutput),
		})},
		"assets": assetsSchema(debs),
		"nif":    {kind: namedKind, key: checkApp, each: nifSchema(debs)},
		"deps": {kind: namedKind, key: checkApp, each: tables(map[string]*node{
			"config_apps": lists(checkAppName),
		})},
		"release": tables(map[string]*node{
			"name":       texts(checkReleaseName),
			"version":    {kind: versionKind},
			"mix_env":    texts(checkMixEnv),
			"mix_target": texts(checkMixEnv),
			"config":     lists(checkProjectFile),
			"vm_args":    texts(checkProjectFile),
		}),
		"image": imageSchema(debs),
	}
}

// toolchainSchema has a string or a table for each tool.
func toolchainSchema() *node {
	from := texts(oneOf(FromDebian, FromSource))
	places := lists(checkPlace)
	fields := map[string]*node{"from": from, "sources": places}
	for _, name := range ToolNames() {
		tool := map[string]*node{
			"version": texts(checkVersion),
			"from":    from,
			"sources": places,
			"url":     texts(checkSourceURL),
			"path":    {kind: fileKind},
			"sha256":  texts(checkSHA256),
			"patches": {kind: patternsKind, check: checkFilePattern},
		}
		if name == ToolOTP || name == ToolOpenSSL {
			tool["configure"] = &node{kind: listKind, check: checkOption, repeat: true}
			tool["cflags"] = texts(checkFlags)
			tool["ldflags"] = texts(checkFlags)
			tool["packages"] = lists(checkDebianPackage)
		}
		switch name {
		case ToolOTP:
			tool["without"] = lists(checkAppName)
		case ToolOpenSSL:
			tool["link"] = texts(oneOf(LinkDynamic, LinkStatic))
		}
		fields[name] = &node{kind: toolKind, fields: tool}
	}
	return tables(fields)
}

// nifSchema has what may be said of native code, and again for one platform.
func nifSchema(debs *node) *node {
	keys := map[string]*node{
		"build":   debs,
		"runtime": debs,
		"env":     {kind: namedKind, key: checkNIFEnv, each: texts(checkText)},
		"precompiled": tables(map[string]*node{
			"url":    texts(checkArchiveURL),
			"sha256": texts(checkSHA256),
		}),
		"method": texts(oneOf(MethodCross, MethodEmulate)),
	}
	platform := tables(maps.Clone(keys))
	keys["platform"] = tables(map[string]*node{"amd64": platform, "arm64": platform})
	return tables(keys)
}

// matrixSchema has the versions of those tools that a build can choose.
func matrixSchema() *node {
	fields := map[string]*node{}
	for _, name := range matrixTools() {
		fields[name] = lists(checkVersion)
	}
	return tables(fields)
}

func assetsSchema(debs *node) *node {
	return tables(map[string]*node{
		"packages": debs,
		"npm":      lists(checkPackageLock),
		"scripts":  lists(checkNPMName),
		"run":      {kind: listKind, check: checkCommand, repeat: true},
		"inputs":   lists(checkPattern),
		"outputs":  lists(checkOutput),
		"tools": {kind: namedKind, key: checkTool, each: tables(map[string]*node{
			"version": texts(checkVersion),
			"url":     texts(checkToolURL),
			"file":    texts(checkToolPath),
			"path":    texts(checkToolPath),
		})},
	})
}

func imageSchema(debs *node) *node {
	return tables(map[string]*node{
		"repository":      texts(checkRepository),
		"ports":           lists(checkPort),
		"user":            texts(checkUser),
		"allow_root":      {kind: flagKind},
		"env":             {kind: namedKind, key: checkImageEnv, each: texts(checkText)},
		"labels":          {kind: namedKind, key: checkLabel, each: texts(checkText)},
		"volumes":         lists(checkVolume),
		"packages":        debs,
		"shell":           {kind: flagKind},
		"ca_certificates": {kind: flagKind},
		"timezones":       {kind: flagKind},
		"cmd":             {kind: listKind, check: checkText, repeat: true},
		"stop_signal":     texts(checkSignal),
	})
}

func hexSchema() *node {
	return tables(map[string]*node{
		"repos": {kind: namedKind, key: checkHexRepo, each: tables(map[string]*node{
			"url":        texts(checkURL),
			"public_key": {kind: fileKind},
			"auth_env":   texts(checkEnvName),
			"auth_file":  texts(checkAuthFile),
		})},
		"plugins": {kind: namedKind, key: checkHexPackage, each: texts(checkSemver)},
	})
}
