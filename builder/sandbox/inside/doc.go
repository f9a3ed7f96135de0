// Package inside is the part of the sandbox that runs in it: process 1, which
// the engine starts from its own binary, and the messages between the two.
//
// Importing the package is what makes a binary able to be that process. It
// must not import anything but the standard library and x/sys: see init.
//
// In order, process 1 forgets what it inherited, reads a Spec from the socket
// it was given, furnishes its namespaces, builds the file system and moves
// into it, locks itself down, starts the program, and reaps until that ends.
// Every step that fails is told to the engine as a Fault and ends the run.
package inside
