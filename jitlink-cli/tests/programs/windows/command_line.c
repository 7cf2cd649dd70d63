// The command line, as Windows has it, taken apart by Windows.
#include <stdio.h>
#include <string.h>
#include <windows.h>
#include <shellapi.h>

int main(int count, char **arguments) {
    int words;
    wchar_t **found = CommandLineToArgvW(GetCommandLineW(), &words);
    printf("%d %d\n", count, words);
    for (int at = 0; at < words; at++) {
        char word[64];
        WideCharToMultiByte(CP_UTF8, 0, found[at], -1, word, sizeof word, NULL, NULL);
        printf("[%s] %s\n", word, strcmp(word, arguments[at]) ? arguments[at] : "same");
    }
    return strlen(GetCommandLineA()) == wcslen(GetCommandLineW()) ? 0 : 1;
}
