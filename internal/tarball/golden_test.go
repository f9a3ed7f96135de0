package tarball

const (
	goldenNothing = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	goldenFile    = "6ca22386208a0b038c3984df0f0dda1afeb101b455259cf6137b09dc61917cf3"
	goldenAll     = "81f18b285ae65d9a29d92b9b693c2ffc1cdb98284e9f173589b4282d2aa42735"
)
