{{- define "logistics-operator.selector" -}}
app.kubernetes.io/name: logistics-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logistics-operator.labels" -}}
{{ include "logistics-operator.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
