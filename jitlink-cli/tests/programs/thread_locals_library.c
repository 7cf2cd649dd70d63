__thread int libvar = 11; int libget(void){return libvar;}
