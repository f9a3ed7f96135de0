package registry

// Digests that never change; see TestCodecsKeepTheirBytes.
const (
	goldenGzip0    = "sha256:9ceffb7310338057cfe71a4ae1e2c98d2c485d81cdef906532a801f457a38d64"
	goldenGzip1    = "sha256:8c191774dbe434c82f9dcc412e225b59d361e456cff20b2d769074a56c73c871"
	goldenGzip700k = "sha256:8602cd5e15d5f146036c63fcc721311fe34f5639b5358b615c51a2c532ded03d"
	goldenZstd0    = "sha256:429ed24358dddc6eff5fcf1c9a514fb568dcba9e383d8c065353b0446064bc1f"
	goldenZstd1    = "sha256:408724ed4874a26ec139b019d49896acd555f1787be1daa28f05f1e1b46c57cc"
	goldenZstd700k = "sha256:f0349b9dbc6460fe7af849ce30be327b12fa4086934aa5b9d094054339c741c4"

	goldenOCI       = "sha256:cd5d5a1cbc37edd20493c84aa1a19e1f48bb1d1024e38491d6ddfcfe9ee8c258"
	goldenZstdImage = "sha256:0c21a4392222da859831b2e3c0ed6cd57f3875690644691956b7c5078889bc02"
	goldenDocker    = "sha256:ebcf78c327989e7f501ad4e85be4f35c3a4199f3b2998d6e3129c752785acdbb"
)
