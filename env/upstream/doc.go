// Package upstream finds the source releases of OTP, Elixir, OpenSSL, Hex and
// rebar3 where their projects publish them, and checks what they publish along
// with them.
//
// It stands beside env/debian: retort lock asks it which versions there are,
// where the source of one lies and what vouches for it. The lock then holds the
// sha256 of the bytes, and nothing asks again.
//
// What is checked, and what is not:
//
//	OTP      the sha256 in the release's SHA256.txt. It lies beside the tarball
//	         and is not signed; releases before it came up (most before OTP 24)
//	         have none or an MD5, and then nothing is checked. The sigstore
//	         bundles of OTP 28 and later are not read: what is attested is the
//	         bill of materials, by keys that change with every release.
//	OpenSSL  the OpenPGP signature, by the keys in keys/, and the sha256. A
//	         release without a good signature is refused.
//	Elixir, Hex, rebar3
//	         upstream publishes no checksum of its sources: GitHub makes the
//	         archive of a tag when it is asked. The archive names the commit that
//	         it was made of, which must be the tag's, and for Elixir the one that
//	         builds.hex.pm built from. Whether its files are that commit's is not
//	         checked.
//
// Invariants:
//   - A [Release] names no host. [Client.Locate] alone says where to ask, and
//     whoever mirrors these services says so in [Bases].
//   - All answers are bounded, and one that is cut short is an error.
//   - The same answers give the same release: no clock, no order of a map.
//
// To find and fetch a release:
//
//	client := &upstream.Client{Fetch: &fetch.Client{}}
//	release, err := client.Find(ctx, "otp", "27") // the newest 27
//	...
//	urls, err := client.Locate(release.URL)
//	...
//	_, err = client.Fetch.Get(ctx, fetch.Request{URLs: urls, Digest: release.Digest, MaxSize: upstream.MaxTarball}, file)
//	...
//	err = release.Verify(file)
package upstream
