// A DLL.
__declspec(dllexport) int value = 41;
__declspec(dllexport) int twice(int number) { return 2 * number; }
