// Data and code of the medium and large code models, which lie apart from everything else.
char big[200000];
int big_init[50000] = {1, 2, 3};

int element(int i) { return big_init[i] + big[i]; }
