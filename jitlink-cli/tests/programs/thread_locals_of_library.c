#include <stdio.h>
extern __thread int libvar; int libget(void);
int main(){ libvar += 5; printf("%d %d\n", libvar, libget()); return 0; }
