using Xunit.Sdk;
using Xunit.v3;

// libtorch has one random generator and one thread pool for the whole process: tests that ran side by side would draw each
// other's numbers. Compiled into every test project.
[assembly: Parallelization(Mode = ParallelMode.None)]
